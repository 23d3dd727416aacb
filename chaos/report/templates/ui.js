// Places with data-now in the element with data-live are kept as the server says: one event is the whole of what stands in one.
// A browser has six connections to a server, for all of its windows together. So a window has one at most and a hidden one none; and
// whoever goes anywhere, such as to the stop button's answer, makes all windows let go first.
const AGAIN_MS = 1500;
const live = document.querySelector("[data-live]");
const others = new BroadcastChannel("chaos ui");
let source = null, sent = false;

const close = () => { if (source) source.close(); source = null; };

const open = () => {
  close();
  if (!live || document.hidden) return;
  source = new EventSource(live.dataset.live);
  for (const place of live.querySelectorAll("[data-now]")) {
    source.addEventListener("now" + place.dataset.now, (event) => { place.innerHTML = event.data; });
  }
  source.addEventListener("over", () => { close(); setTimeout(() => { if (!sent) location.reload(); }, AGAIN_MS); });
};
const letGo = () => { close(); setTimeout(open, AGAIN_MS); };

addEventListener("submit", () => { sent = true; close(); });  // its answer must not be lost to a page that is loaded anew
addEventListener("pageshow", () => { sent = false; open(); });
addEventListener("pagehide", close);
document.addEventListener("visibilitychange", open);
others.addEventListener("message", letGo);
addEventListener("beforeunload", () => { letGo(); others.postMessage("let go"); });

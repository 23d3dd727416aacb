// Every element with data-live is kept as the server says: one event is the whole of what stands in it.
// A browser has six connections to a server, for all of its windows together, and each live view holds one. So a window has two at most
// and a hidden one none; and whoever goes anywhere, such as to the stop button's answer, makes all windows let go first.
const MOST = 2, AGAIN_MS = 1500;
const live = [...document.querySelectorAll("[data-live]")].slice(0, MOST);
const others = new BroadcastChannel("chaos ui");
let sources = [], sent = false;

const close = () => { for (const source of sources) source.close(); sources = []; };

const follow = (one) => {
  const source = new EventSource(one.dataset.live);
  const place = one.querySelector("[data-now]");
  source.addEventListener("now", (event) => { place.innerHTML = event.data; });
  source.addEventListener("over", () => { source.close(); setTimeout(() => { if (!sent) location.reload(); }, AGAIN_MS); });
  return source;
};

const open = () => { close(); if (!document.hidden) sources = live.map(follow); };
const letGo = () => { close(); setTimeout(open, AGAIN_MS); };

addEventListener("submit", () => { sent = true; });  // its answer must not be lost to a page that is loaded anew
addEventListener("pageshow", () => { sent = false; open(); });
addEventListener("pagehide", close);
document.addEventListener("visibilitychange", open);
others.addEventListener("message", letGo);
addEventListener("beforeunload", () => { letGo(); others.postMessage("let go"); });

// Places with data-now in the element with data-live are kept as the server says: one event is the whole of what stands in one.
// A browser opens six connections to a server, and no more, for all its pages together: so a page has one stream, none while nobody
// sees it, and none once a form is sent, or a stop would wait behind streams.
const live = document.querySelector("[data-live]");
let source = null, sent = false;
const close = () => { if (source) source.close(); source = null; };
const open = () => {
  if (!live || source || sent || document.hidden) return;
  source = new EventSource(live.dataset.live);
  for (const place of live.querySelectorAll("[data-now]")) {
    source.addEventListener("now" + place.dataset.now, (event) => { place.innerHTML = event.data; });
  }
  // The answer to a form says what a stop could not undo: it is never replaced by a page that is loaded anew.
  source.addEventListener("over", () => { close(); setTimeout(() => { if (!sent) location.reload(); }, 1500); });
};
document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
addEventListener("submit", () => { sent = true; close(); });
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => { if (event.persisted) { sent = false; open(); } });
open();

// Every element with data-live is kept as the server says: one event is the whole of what stands in it.
// A browser has six connections to one server, for all of its tabs together, and an off-switch must never wait for one. So a page
// follows a few runs, a tab that nobody sees none, and whoever leaves a page, by a button too, has given its connections back before.
const MOST = 3;
const lives = [...document.querySelectorAll("[data-live]")].map((one) => ({
  address: one.dataset.live, place: one.querySelector("[data-now]"), source: null, over: false,
}));
for (const live of lives.slice(MOST)) live.place.textContent = "Open it to watch it.";

function follow(live) {
  if (live.source || live.over) return;
  live.source = new EventSource(live.address);
  live.source.addEventListener("now", (event) => { live.place.innerHTML = event.data; });
  live.source.addEventListener("over", () => { live.over = true; leave(live); setTimeout(() => location.reload(), 1500); });
}
function leave(live) { live.source?.close(); live.source = null; }
function look() { for (const live of lives.slice(0, MOST)) document.hidden ? leave(live) : follow(live); }

document.addEventListener("visibilitychange", look);
for (const end of ["beforeunload", "pagehide"]) addEventListener(end, () => lives.forEach(leave));
look();

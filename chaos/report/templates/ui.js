// Every element with data-live is kept as the server says: one event is the whole of what stands in it.
for (const one of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(one.dataset.live);
  const place = one.querySelector("[data-now]");
  source.addEventListener("now", (event) => { place.innerHTML = event.data; });
  source.addEventListener("over", () => { source.close(); setTimeout(() => location.reload(), 1500); });
  addEventListener("pagehide", () => source.close());
}

// least => every visible text with less contrast than that to what is behind it (WCAG 2: relative luminance), as "ratio: text".
// Behind a text lie the grounds of its ancestors, and in a drawing the filled shapes that were painted before it and that it stands on.
(least) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parsed = new Map();
  const rgba = (colour) => {
    if (!parsed.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      parsed.set(colour, [r, g, b, a / 255]);
    }
    return parsed.get(colour);
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const luminance = (colour) => {
    const [r, g, b] = colour.map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = rgba(getComputedStyle(document.body).backgroundColor);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const root = page[3] ? page : dark ? [0, 0, 0, 1] : [255, 255, 255, 1];
  const ground = (element) => {
    const chain = [];
    for (let one = element; one; one = one.parentElement) chain.unshift(one);
    let colour = root;
    for (const one of chain) {
      const background = one.namespaceURI.endsWith("svg") && one.tagName !== "svg" ? null : getComputedStyle(one).backgroundColor;
      if (background) colour = over(rgba(background), colour);
    }
    return colour;
  };
  const shapes = new Map();
  const painted = (svg) => {
    if (!shapes.has(svg)) {
      shapes.set(svg, [...svg.querySelectorAll("path,rect,circle,polygon,use")].map((one) => {
        const style = getComputedStyle(one);
        if (style.fill === "none") return null;
        const fill = rgba(style.fill).slice();
        fill[3] *= Number(style.fillOpacity) * Number(style.opacity);
        return { one, fill, box: one.getBoundingClientRect() };
      }).filter((shape) => shape && shape.fill[3] > 0 && shape.box.width > 0));
    }
    return shapes.get(svg);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const said = node.textContent.trim();
    const element = node.parentElement;
    if (!said || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || element.closest("script,style,title,desc")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width === 0 || box.right < 0) continue;
    const style = getComputedStyle(element);
    const svg = element.closest("svg");
    let behind = ground(svg || element);
    if (svg) {
      const x = box.left + box.width / 2, y = box.top + box.height / 2;
      for (const shape of painted(svg)) {
        const before = shape.one.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING;
        if (before && shape.box.left <= x && x <= shape.box.right && shape.box.top <= y && y <= shape.box.bottom) behind = over(shape.fill, behind);
      }
    }
    const front = rgba(svg ? style.fill : style.color).slice();
    front[3] *= svg ? Number(style.fillOpacity) : 1;
    const [low, high] = [luminance(over(front, behind)), luminance(behind)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least) found.push(`${ratio.toFixed(2)}: ${said.slice(0, 60)}`);
  }
  return found;
}

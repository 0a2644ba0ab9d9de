// The map of a feature set on a canvas, as pages/debug/map_points.py describes its data. A point shows its image where it
// is pointed at, and is opened by a click; arrow keys go from point to point and Enter opens; a lasso makes a set. The axes are fixed: no legend and no filter moves a point.
// Whatever comes from data is written with textContent, setAttribute or fillText, never as HTML.

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GRID = 65535, NEAR = 9, EDGE = 14; // NEAR: pixels within which a point is pointed at
const known = new WeakMap();
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer;

export default function (component) {
  const { parentElement, data } = component;
  let view = known.get(parentElement);
  if (!view) {
    view = new TargetMap(parentElement);
    known.set(parentElement, view);
  }
  view.send = component.setTriggerValue;
  view.update(data);
  return () => view.close();
}

class TargetMap {
  constructor(parent) {
    this.root = make("div", "map");
    this.canvas = make("canvas");
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "map");
    this.canvas.tabIndex = 0;
    this.said = make("div", "said");
    this.said.setAttribute("role", "status");
    this.tip = make("div", "tip");
    this.tip.setAttribute("aria-hidden", "true");
    this.image = make("img");
    this.image.alt = "";
    this.words = make("div");
    this.tip.append(this.image, this.words);
    this.side = make("div", "side");
    this.stage = make("div", "stage");
    this.stage.append(this.canvas);
    this.root.append(this.stage, this.side, this.said);
    parent.append(this.root, this.tip);
    this.hidden = new Set();
    this.home();
    this.mode = "lasso";
    this.canvas.addEventListener("pointerdown", (e) => this.press(e));
    this.canvas.addEventListener("pointermove", (e) => this.move(e));
    this.canvas.addEventListener("pointerup", (e) => this.release(e));
    this.canvas.addEventListener("pointercancel", () => { this.held = null; this.outline = null; this.paint(); });
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    this.canvas.addEventListener("focus", () => { if (this.canvas.matches(":focus-visible")) this.pointByKey(this.target()); });
    this.canvas.addEventListener("blur", () => this.point(null));
    this.resized = new ResizeObserver(() => this.paint());
    this.resized.observe(this.stage);
  }

  close() { this.resized.disconnect(); this.tip.classList.remove("shown"); }

  home() { this.zoom = 1; this.left = 0; this.top = 0; }

  update(data) {
    const text = JSON.stringify(data);
    this.resized.observe(this.stage);
    if (text === this.text) return;
    if (this.data && this.data.by !== data.by) this.hidden.clear();
    if (this.data?.target.id !== data.target.id) this.reached = null;
    this.text = text;
    this.data = data;
    for (const split of ["train", "val"]) {
      const part = data[split];
      this[split] = { n: part.n, id: new Uint32Array(bytes(part.id)) };
      for (const name of ["x", "y", "code", "label", "predicted"]) this[split][name] = new Uint16Array(bytes(part[name]));
    }
    if (!data.set) this.outline = null;
    this.canvas.setAttribute("aria-label", data.alt);
    this.point(null);
    this.drawSide();
    this.paint();
  }

  // -- the legend and the buttons: their own column, so that the map never moves

  drawSide() {
    const list = make("ul");
    this.data.legend.forEach((entry, code) => {
      const item = make("li"), toggle = make("button", "", entry.name), dot = make("i");
      toggle.type = "button";
      dot.style.background = entry.colour;
      toggle.prepend(dot);
      toggle.title = `show or hide: ${entry.name}`;
      toggle.setAttribute("aria-pressed", String(!this.hidden.has(code)));
      toggle.addEventListener("click", () => {
        if (!this.hidden.delete(code)) this.hidden.add(code);
        toggle.setAttribute("aria-pressed", String(!this.hidden.has(code)));
        this.paint();
      });
      item.append(toggle);
      list.append(item);
    });
    const signs = make("div", "signs");
    const line = (sign, text) => { const p = make("div"); p.append(make("b", "", sign), make("span", "", text)); return p; };
    signs.append(line("●", "training image"), line("◇", "validation image that matches"), line("★", `target ${this.data.target.id}`));
    if (this.data.marked.ids.length) signs.append(line("□", this.data.marked.text));
    const tools = make("div", "tools");
    const tool = (text, label, act, pressed) => {
      const button = make("button", "", text);
      button.type = "button";
      button.setAttribute("aria-label", label);
      button.title = label;
      if (pressed !== undefined) button.setAttribute("aria-pressed", String(pressed));
      button.addEventListener("click", act);
      tools.append(button);
    };
    const mode = (name) => () => { this.mode = name; this.canvas.dataset.mode = name; this.drawSide(); };
    tool("Lasso", "drag to choose a set of images", mode("lasso"), this.mode === "lasso");
    tool("Move", "drag to move the map", mode("move"), this.mode === "move");
    tool("+", "zoom in", () => this.scale(1.5));
    tool("−", "zoom out", () => this.scale(1 / 1.5));
    tool("Reset", "show the whole map", () => { this.home(); this.paint(); });
    this.canvas.dataset.mode = this.mode;
    this.side.replaceChildren(tools, list, signs);
  }

  // -- places

  get size() { return [this.stage.clientWidth, this.stage.clientHeight]; }

  // The map's square fills the stage's width or height; y is measured on the same scale.
  get unit() { return (Math.min(...this.size) - 2 * EDGE) * this.zoom / GRID; }

  toPixel(x, y) {
    const [width, height] = this.size, span = GRID * this.unit;
    return [(width - span) / 2 + this.left + x * this.unit, (height - span) / 2 + this.top + y * this.unit];
  }

  toGrid(px, py) {
    const [x0, y0] = this.toPixel(0, 0);
    return [(px - x0) / this.unit, (py - y0) / this.unit];
  }

  scale(by, px = this.size[0] / 2, py = this.size[1] / 2) {
    const [x, y] = this.toGrid(px, py);
    this.zoom = Math.max(1, Math.min(40, this.zoom * by));
    if (this.zoom === 1) this.home();
    else {
      const [nowX, nowY] = this.toPixel(x, y);
      this.left += px - nowX;
      this.top += py - nowY;
    }
    this.paint();
  }

  // -- drawing

  paint() {
    if (!this.data) return;
    const [width, height] = this.size, ratio = window.devicePixelRatio || 1;
    if (!width || !height) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d"), style = getComputedStyle(this.root);
    this.ink = style.getPropertyValue("--ink").trim() || style.color;
    this.paper = style.getPropertyValue("--paper").trim() || "#fff";
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, width, height);
    const grow = Math.min(2.2, Math.sqrt(this.zoom));
    pen.globalAlpha = 0.6;
    this.each(this.train, (i, x, y) => {
      pen.fillStyle = this.data.legend[this.train.code[i]].colour;
      pen.beginPath();
      pen.arc(x, y, 2.4 * grow, 0, 7);
      pen.fill();
    });
    pen.globalAlpha = 1;
    pen.lineWidth = 1.6;
    this.each(this.val, (i, x, y) => {
      pen.strokeStyle = this.data.legend[this.val.code[i]].colour;
      pen.fillStyle = this.paper;
      this.diamond(pen, x, y, 4.2 * grow);
      pen.fill();
      pen.stroke();
    });
    const { marked, target } = this.data;
    pen.strokeStyle = marked.colour;
    pen.lineWidth = 2.5;
    pen.setLineDash(marked.dashed ? [3, 2] : []);
    for (const place of marked.places) {
      const [x, y] = this.toPixel(...place);
      pen.strokeRect(x - 6, y - 6, 12, 12);
    }
    pen.setLineDash([]);
    for (const name of this.data.names) this.label(pen, name.text, ...this.toPixel(...name.place));
    const star = this.toPixel(...target.place);
    this.star(pen, ...star);
    this.label(pen, `target ${target.id}`, star[0] + 14, star[1] - 16, "left");
    if (this.pointed) this.ring(pen);
    this.drawOutline(pen);
  }

  each(points, act) {
    const [width, height] = this.size;
    for (let i = 0; i < points.n; i++) {
      if (this.hidden.has(points.code[i])) continue;
      const [x, y] = this.toPixel(points.x[i], points.y[i]);
      if (x > -9 && y > -9 && x < width + 9 && y < height + 9) act(i, x, y);
    }
  }

  diamond(pen, x, y, r) {
    pen.beginPath();
    pen.moveTo(x, y - r); pen.lineTo(x + r, y); pen.lineTo(x, y + r); pen.lineTo(x - r, y);
    pen.closePath();
  }

  star(pen, x, y) {
    pen.beginPath();
    for (let i = 0; i < 10; i++) {
      const r = i % 2 ? 4.5 : 11, a = Math.PI * (i / 5 - 0.5);
      pen.lineTo(x + r * Math.cos(a), y + r * Math.sin(a));
    }
    pen.closePath();
    pen.fillStyle = "#E69F00"; pen.strokeStyle = "#000"; pen.lineWidth = 1.5;
    pen.fill(); pen.stroke();
  }

  label(pen, text, x, y, align = "center") {
    pen.font = "600 12px sans-serif";
    pen.textAlign = align;
    pen.textBaseline = "middle";
    pen.lineWidth = 4; pen.lineJoin = "round";
    pen.strokeStyle = this.paper; pen.fillStyle = this.ink;
    pen.strokeText(text, x, y); pen.fillText(text, x, y);
  }

  ring(pen) {
    pen.strokeStyle = this.ink; pen.lineWidth = 2;
    pen.beginPath(); pen.arc(this.pointed.px, this.pointed.py, 8, 0, 7); pen.stroke();
  }

  drawOutline(pen) {
    if (!this.outline || this.outline.length < 2) return;
    pen.beginPath();
    for (const place of this.outline) pen.lineTo(...this.toPixel(...place));
    if (!this.held) pen.closePath();
    pen.strokeStyle = this.ink; pen.lineWidth = 1.5; pen.setLineDash([5, 4]); pen.stroke(); pen.setLineDash([]);
  }

  // -- pointing

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  // The point nearest to a place; validation images lie on top.
  nearest(px, py) {
    let best = null, least = NEAR * NEAR;
    for (const split of ["val", "train"]) {
      this.each(this[split], (i, x, y) => {
        const far = (x - px) ** 2 + (y - py) ** 2 + (split === "train" ? 9 : 0);
        if (far < least) { least = far; best = { split, i, px: x, py: y }; }
      });
    }
    return best;
  }

  describe({ split, i }) {
    const points = this[split], { classes } = this.data, id = points.id[i], label = classes[points.label[i]];
    if (split === "train") return `training image ${id}, ${label}`;
    const wrong = points.predicted[i] !== points.label[i];
    return `validation image ${id}, ${label}` + (wrong ? ` → ${classes[points.predicted[i]]}` : "");
  }

  point(found) {
    const same = this.pointed && found && this.pointed.split === found.split && this.pointed.i === found.i;
    if (same || (!this.pointed && !found)) return;
    this.pointed = found;
    this.canvas.style.cursor = found ? "pointer" : "";
    this.tip.classList.toggle("shown", Boolean(found));
    if (found) {
      this.image.src = `${this.data.tiles}/${found.split}-${this[found.split].id[found.i]}.png`;
      this.words.textContent = this.describe(found);
      const box = this.canvas.getBoundingClientRect(), x = box.left + found.px, y = box.top + found.py;
      this.tip.style.left = `${Math.max(8, Math.min(x + 14, window.innerWidth - 200))}px`;
      this.tip.style.top = `${y > 220 ? y - 150 : y + 18}px`;
    }
    this.paint();
  }

  // -- the same by keys

  // The open target as a point: where the keys begin.
  target() {
    const { id, place } = this.data.target, [px, py] = this.toPixel(...place);
    const i = this.val.id.indexOf(id);
    return i < 0 ? null : { split: "val", i, px, py };
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return this.open(this.pointed);
    }
    if (event.key === "Escape") return this.point(null);
    if (event.key !== "Home" && !(event.key in WAYS)) return;
    event.preventDefault();
    const found = event.key === "Home" ? this.target() : this.next(WAYS[event.key], event.shiftKey ? "train" : "val");
    if (found) this.pointByKey(found);
  }

  // The nearest image of a split in a direction: what lies aside counts twice.
  next([right, down], split) {
    const [px, py] = this.toPixel(...(this.reached || this.data.target.place));
    let best = null, least = Infinity;
    this.each(this[split], (i, x, y) => {
      const along = (x - px) * right + (y - py) * down, aside = Math.abs((x - px) * down) + Math.abs((y - py) * right);
      if (along < 1 || aside > along || along + 2 * aside >= least) return;
      least = along + 2 * aside;
      best = { split, i, px: x, py: y };
    });
    return best;
  }

  pointByKey(found) {
    if (!found) return;
    this.reached = [this[found.split].x[found.i], this[found.split].y[found.i]];
    this.point(found);
    this.said.textContent = this.describe(found);
  }

  open(found) {
    if (found) this.send("pick", { split: found.split, id: this[found.split].id[found.i] });
  }

  // -- pressing and dragging

  press(event) {
    if (event.button !== 0) return;
    const [px, py] = this.at(event);
    this.held = { px, py, left: this.left, top: this.top, moved: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    const [px, py] = this.at(event);
    if (!this.held) return this.point(this.nearest(px, py));
    if (!this.held.moved && Math.hypot(px - this.held.px, py - this.held.py) < 5) return;
    if (!this.held.moved) {
      this.point(null);
      if (this.mode === "lasso") this.outline = [this.toGrid(this.held.px, this.held.py)];
    }
    this.held.moved = true;
    if (this.mode === "lasso") this.outline.push(this.toGrid(px, py));
    else { this.left = this.held.left + px - this.held.px; this.top = this.held.top + py - this.held.py; }
    this.paint();
  }

  release(event) {
    const held = this.held;
    this.held = null;
    if (!held) return;
    if (!held.moved) {
      return this.open(this.nearest(...this.at(event)));
    }
    if (this.mode === "lasso" && this.outline.length > 2) {
      const corners = this.outline.map((place) => place.map(Math.round));
      this.send("lasso", { corners, hidden: [...this.hidden] });
    }
    this.paint();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    this.scale(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...this.at(event));
  }
}

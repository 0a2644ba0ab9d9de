// The confusion matrix of the Start panel, as pages/debug/start.py describes its data: a cell shows its images where it
// is pointed at or focused, and leads to them where it is chosen. Where there are too many classes, the cells are a list.
// Whatever comes from data is written with textContent or setAttribute, never as HTML.

const drawn = new WeakMap();
const node = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

export default function (component) {
  const { parentElement, data } = component;
  document.cookie = `${data.cookie}=seen; path=/; max-age=31536000; samesite=lax`;
  let view = drawn.get(parentElement);
  if (!view) {
    view = new Confusion(parentElement);
    drawn.set(parentElement, view);
  }
  view.send = component.setTriggerValue;
  const now = JSON.stringify(data);
  if (view.before !== now) view.draw(data);
  view.before = now;
}

class Confusion {
  constructor(parent) {
    this.root = node("div", "confusion");
    parent.append(this.root);
    this.root.addEventListener("pointerover", (e) => this.point(e.target.closest("button")));
    this.root.addEventListener("focusin", (e) => this.point(e.target.closest("button")));
    this.root.addEventListener("keydown", (e) => this.key(e));
    this.root.addEventListener("click", (e) => {
      const cell = e.target.closest("button");
      if (cell) this.send("pick", { label: Number(cell.dataset.t), predicted: Number(cell.dataset.p) });
    });
  }

  draw(data) {
    this.data = data;
    this.cells = new Map(data.cells.map((cell) => [`${cell.t} ${cell.p}`, cell]));
    this.most = Math.max(1, ...data.cells.filter((cell) => cell.t !== cell.p).map((cell) => cell.n));
    const text = node("div", "said");
    text.setAttribute("aria-live", "polite");
    text.textContent = data.cells.length ? data.hint : "";
    this.said = text;
    this.images = node("div", "images");
    this.images.style.minHeight = `${data.side + 2}px`;
    this.root.replaceChildren(data.list ? this.list() : this.table(), text, this.images);
    const first = this.root.querySelector("button");
    this.root.querySelectorAll("button").forEach((cell) => { cell.tabIndex = cell === first ? 0 : -1; });
  }

  name(cell) {
    const { classes } = this.data, images = `${cell.n} image${cell.n === 1 ? "" : "s"}`;
    return cell.t === cell.p
      ? `${images} of ${classes[cell.t]}, predicted right`
      : `${images} of ${classes[cell.t]}, predicted ${classes[cell.p]}`;
  }

  button(cell, text) {
    const made = node("button", cell.t === cell.p ? "right" : "wrong", text);
    made.type = "button";
    made.dataset.t = cell.t;
    made.dataset.p = cell.p;
    made.setAttribute("aria-label", this.name(cell));
    if (cell.t !== cell.p) made.style.setProperty("--share", `${Math.round(6 + 26 * Math.sqrt(cell.n / this.most))}%`);
    return made;
  }

  table() {
    const { classes } = this.data, table = node("table"), head = node("tr");
    head.append(node("th", "corner", "true ↓  predicted →"));
    for (const name of classes) {
      const cell = node("th", "top");
      cell.scope = "col";
      cell.title = name;
      cell.append(node("span", "", name));
      head.append(cell);
    }
    table.append(head);
    classes.forEach((name, t) => {
      const row = node("tr"), title = node("th", "side", name);
      title.scope = "row";
      title.title = name;
      row.append(title);
      classes.forEach((_, p) => {
        const place = node("td"), cell = this.cells.get(`${t} ${p}`);
        if (cell) place.append(this.button(cell, String(cell.n)));
        row.append(place);
      });
      table.append(row);
    });
    const frame = node("div", "frame");
    frame.append(table);
    return frame;
  }

  list() {
    const { classes } = this.data, list = node("ul");
    for (const cell of this.data.cells) {
      const item = node("li");
      item.append(this.button(cell, `${classes[cell.t]} → ${classes[cell.p]}: ${cell.n}`));
      list.append(item);
    }
    return list;
  }

  point(button) {
    if (!button || this.shown === button) return;
    this.shown = button;
    const cell = this.cells.get(`${button.dataset.t} ${button.dataset.p}`);
    const more = cell.n - cell.ids.length;
    this.said.textContent = this.name(cell) + (more > 0 ? ` (the first ${cell.ids.length} of them)` : "");
    this.images.replaceChildren(...cell.ids.map((id) => {
      const image = node("img");
      image.src = `${this.data.tiles}/val-${id}.png`;
      image.width = image.height = this.data.side;
      image.alt = `validation image ${id}`;
      return image;
    }));
  }

  // One tab stop; arrow keys reach the cells that hold images.
  key(event) {
    const from = event.target.closest("button");
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!from || !step) return;
    event.preventDefault();
    const all = [...this.root.querySelectorAll("button")];
    let to = all[all.indexOf(from) + step[0] + step[1]];
    if (!this.data.list && step[1]) {
      const column = all.filter((cell) => cell.dataset.p === from.dataset.p);
      to = column[column.indexOf(from) + step[1]];
    }
    if (!to) return;
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
}

// The audit's deck: one image at a time, or a wall of them, decided by key; pages/audit/deck.py documents the data.
// It draws; post.js carries decisions to the server and brings back what is written. They meet in window.lineupAudit.
// A decision is drawn at once and belongs to the image that was shown when its key went down; it is called saved only when
// the server has said so. Until then it is sent again. Whatever comes from data is written with textContent.

const RESEND_MS = 2500; // without an answer, decisions are sent again
const ASK_MS = 60; // after a step, further images are asked for,
const ASK_AGAIN_MS = 900; // and again where they do not come
const AHEAD = 22; // images that should be there already beyond the one that is shown
const FILM = 10; // images of the film on each side of the one that is shown
const SIGNS = { keep: "✓", relabel: "→", remove: "×", unsure: "?" };
const HELP = [
  ["0 – 9", "the image is of this class (over 10 classes: type a number or a name)"],
  ["Enter", "the given label is right"], ["S", "unsure"], ["X", "remove it from training"],
  ["A", "the suggested label is right"], ["U", "undo"], ["Y", "redo"],
  ["J, ↓, →", "next"], ["K, ↑, ←", "previous"], ["G", "the next one that is not decided"],
  ["N", "a note for the next decision"], ["H", "this help"],
];
const WALL_HELP = [
  ["click, Space", "mark an image (Shift: all up to it)"], ["arrows", "move"], ["*", "mark all, or none"],
  ["J, K", "next wall, previous wall"],
];
const hub = (window.lineupAudit ??= {});

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let deck = hub.deck;
  if (!deck || deck.parent !== parentElement) {
    deck?.close();
    deck = hub.deck = new Deck(parentElement);
  }
  deck.ask = (at) => setStateValue("at", { token: data.token, at, n: ++deck.count });
  deck.take(data);
  if (hub.heard) deck.hear(hub.heard);
  return () => {
    deck.close();
    if (hub.deck === deck) hub.deck = null;
    hub.sendRest?.();
  };
}

class Deck {
  constructor(parent) {
    this.parent = parent;
    this.pictures = make("style");
    this.root = make("div", "audit");
    this.root.tabIndex = -1;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "the queue");
    parent.append(this.pictures, this.root);
    this.standing = new Map(); // image -> what the server has of it
    this.local = new Map(); // image -> what stands here as long as the server has not answered
    this.pending = []; // entries that are not written yet, oldest first
    this.flying = 0; // when they were sent last
    this.count = 0;
    this.done = []; // what can be undone, oldest first: {uids, changes: [[image, before, after]], at}
    this.undone = [];
    this.held = false; // while a button is pressed or a character composed, nothing is drawn: it would be lost
    this.seen = 0; // newest entry of the log that is known here
    this.said = {};
    this.marked = new Set();
    this.cursor = 0;
    this.key = this.key.bind(this);
    document.addEventListener("keydown", this.key);
    this.root.addEventListener("click", (event) => this.click(event));
    // A button that was clicked keeps no focus: Enter means the given label, unless one got there with Tab.
    this.root.addEventListener("pointerdown", (event) => { if (event.target.closest("button")) event.preventDefault(); });
    this.root.addEventListener("pointerdown", (event) => { this.held = event.button === 0; });
    this.root.addEventListener("compositionstart", () => { this.held = true; });
    this.root.addEventListener("compositionend", () => this.release());
    this.release = this.release.bind(this);
    this.warn = this.warn.bind(this);
    for (const what of ["pointerup", "pointercancel"]) document.addEventListener(what, this.release);
    window.addEventListener("beforeunload", this.warn);
    this.timer = setInterval(() => this.tick(), 500);
  }

  close() {
    document.removeEventListener("keydown", this.key);
    for (const what of ["pointerup", "pointercancel"]) document.removeEventListener(what, this.release);
    window.removeEventListener("beforeunload", this.warn);
    clearInterval(this.timer);
  }

  // Draws what was held back, after the click that the release makes.
  release() {
    if (this.held) setTimeout(() => {
      this.held = false;
      if (this.stale) this.draw();
    });
  }

  // Before a tab is closed with decisions that the server does not take.
  warn(event) { if (this.pending.length && this.late) event.preventDefault(); }

  // -- what comes from the server

  take(data) {
    const fresh = !this.data || this.data.token !== data.token;
    const place = this.data?.of === data.of && this.data.queue.number === data.queue.number ? this.place() : null;
    this.data = data;
    this.asked = null;
    this.pictures.textContent = ["pictures", "tiles", "harms"].map((name) => pictureRule(name, data[name].url)).join("");
    if (fresh) {
      this.standing = new Map();
      const at = place ?? data.at; // another way to show the same queue goes on where it was
      this.at = this.page(at);
      this.marked.clear();
      this.cursor = at - this.at;
      this.anchor = undefined;
      this.client = this.client || uid();
      // Kept as long as the page is: what was undone together is redone together, whatever was looked at meanwhile.
      const steps = ((hub.steps ??= {})[`${data.of} ${data.queue.number}`] ??= {
        done: data.mine.map((one) => ({ uids: [one.uid], at: data.order.indexOf(one.item), changes: [[one.item, one.old, one.now]] })),
        undone: [],
      });
      this.done = steps.done;
      this.undone = steps.undone;
      this.restore();
      if (place === null && data.mode !== "wall") while (this.local.has(data.order[this.at])) this.at += 1;
      this.note = "";
      this.typed = null;
    }
    for (const [image, one] of Object.entries(data.standing)) this.learn(Number(image), one);
    this.seen = Math.max(this.seen, data.upto);
    if (fresh) this.more();
    this.draw();
    // Somebody who has just clicked on "wall" or chosen a queue goes on with the keyboard here.
    if (fresh && !document.activeElement?.matches("textarea, input:not([role=combobox]), [aria-expanded=true]")) {
      this.root.focus({ preventScroll: true });
    }
    if (this.pending.length) this.post();
  }

  hear(post) {
    if (!this.data) return;
    this.trouble = post.error;
    if (post.queue === this.data.queue.number) {
      this.said = post.said;
      for (const [image, one] of Object.entries(post.changed)) this.learn(Number(image), one);
      this.seen = Math.max(this.seen, post.upto);
    }
    const written = new Set(post.acked);
    if (this.pending.some((entry) => written.has(entry.uid))) {
      this.root.dataset.roundTrip = String(Math.round(performance.now() - this.sent));
      this.pending = this.pending.filter((entry) => !written.has(entry.uid));
      this.flying = 0;
      this.keep();
      const waiting = new Set(this.pending.map((entry) => entry.item));
      for (const image of [...this.local.keys()]) if (!waiting.has(image)) this.local.delete(image);
    }
    if (this.pending.length && !this.flying) this.post();
    this.draw();
  }

  learn(image, one) {
    const known = this.standing.get(image);
    if (!known || one.upto >= known.upto) this.standing.set(image, one);
  }

  // -- decisions

  stands(image) {
    const found = this.local.has(image) ? this.local.get(image) : this.standing.get(image);
    return found?.action ? found : null;
  }

  item(at = this.at) { return this.data.items[at - this.data.start]; }

  get blind() { return this.data.queue.blind; }

  // One entry an image, all of them undone together. action: keep, relabel (with a label an image), remove or unsure.
  decide(items, action, labels) {
    const changes = [], uids = [];
    items.forEach((item, i) => {
      if (action === "relabel" && (labels[i] === undefined || labels[i] === null)) return;
      const same = action === "relabel" && labels[i] === item.given; // the given label is right
      const now = same ? { action: "keep" } : action === "relabel" ? { action, label: labels[i] } : { action };
      const entry = { uid: uid(), queue: this.data.queue.number, item: item.id, seen: this.seen, reason: this.note, ...now };
      changes.push([item.id, this.stands(item.id), { ...now, who: this.data.who }]);
      uids.push(entry.uid);
      this.pending.push(entry);
    });
    if (!uids.length) return;
    for (const [image, , now] of changes) this.local.set(image, now);
    this.done.push({ uids, at: this.at, changes });
    this.undone.length = 0;
    this.note = "";
    this.typed = null;
    this.post();
  }

  decideHere(action, label) {
    const item = this.item();
    if (!item) return; // still on its way: there is nothing on the screen to decide about
    if (this.data.mode === "wall") return this.decideMarked(action, label);
    if (action === "relabel" && (label === null || label === undefined)) return;
    this.decide([item], action, [label]);
    this.last = item;
    this.go(this.at + 1);
  }

  decideMarked(action, label) {
    const items = this.markedHere();
    this.decide(items, action, items.map(() => label));
    this.unmark(items);
  }

  // The suggestion is right: of this image, of the marked ones, or of all on the wall that are not decided.
  accept() {
    if (this.data.mode !== "wall") {
      const item = this.item();
      if (item && (!this.blind || this.stands(item.id))) this.decideHere("relabel", item.suggested);
      return;
    }
    if (this.blind) return;
    const marked = this.markedHere();
    const chosen = marked.length ? marked : this.wall().filter((item) => !this.stands(item.id));
    this.decide(chosen, "relabel", chosen.map((item) => item.suggested));
    this.unmark(chosen);
  }

  markedHere() { return this.wall().filter((item) => this.marked.has(item.id)); }

  unmark(items) {
    for (const item of items) this.marked.delete(item.id);
    this.draw();
  }

  undo() { this.turn(this.done, this.undone, "undo", 1); }

  redo() { this.turn(this.undone, this.done, "redo", 2); }

  turn(from, to, action, side) {
    const step = from.pop();
    if (!step) return;
    step.uids.forEach((of, i) => {
      const [image] = step.changes[i];
      this.pending.push({ uid: uid(), queue: this.data.queue.number, item: image, action, of, seen: this.seen });
      this.local.set(image, step.changes[i][side]);
    });
    to.push(step);
    this.post();
    if (this.data.mode === "wall") this.go(this.page(step.at));
    else this.go(action === "undo" ? step.at : step.at + 1);
  }

  // Sends all that is not written. While an answer is out, more is collected; it goes with the next one.
  post(again = false) {
    this.keep();
    if (!hub.send || (this.flying && !again)) return;
    this.flying = Date.now();
    if (!again) {
      this.sent = performance.now();
      this.since = this.flying;
    }
    hub.send({ n: ++this.count, client: this.client, seen: this.seen, entries: this.pending });
  }

  // Sends again what nobody answers, and says so.
  tick() {
    if (this.asked && Date.now() - this.asked > ASK_AGAIN_MS) {
      this.asked = null;
      this.more();
    }
    const late = this.pending.length > 0 && this.since && Date.now() - this.since > RESEND_MS;
    if (late && Date.now() - this.flying > RESEND_MS) this.post(true);
    if (late !== this.late) {
      this.late = late;
      this.draw();
    }
  }

  // What is not written survives a reload of the page.
  keep() {
    try {
      sessionStorage.setItem("lineup.audit", JSON.stringify({ of: this.data.of, client: this.client, pending: this.pending }));
    } catch { /* a browser that keeps nothing */ }
  }

  restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem("lineup.audit") || "null");
      if (!kept || kept.of !== this.data.of) return;
      this.client = kept.client;
      const here = new Set(this.pending.map((entry) => entry.uid));
      const back = kept.pending.filter((entry) => !here.has(entry.uid));
      this.pending = [...back, ...this.pending];
      for (const entry of back) this.again(entry);
    } catch { /* the same */ }
  }

  // Draws a decision that was made before the page was loaded again, and lets it be undone.
  again({ uid, queue, item, action, label, of }) {
    if (queue !== this.data.queue.number) return;
    if (of) {
      const place = this.done.findIndex((step) => step.uids.includes(of));
      if (action === "undo" && place >= 0) this.done.splice(place, 1);
      return;
    }
    const now = { action, label, who: this.data.who };
    if (this.done.every((step) => !step.uids.includes(uid))) {
      this.done.push({ uids: [uid], at: this.data.order.indexOf(item), changes: [[item, this.stands(item), now]] });
    }
    this.local.set(item, now);
  }

  // -- moving

  go(at) {
    const most = this.data.order.length;
    const there = Math.max(0, Math.min(most, at)); // one beyond the last: the end
    if (this.data.mode === "wall" && there !== this.at) {
      this.cursor = 0;
      this.anchor = undefined;
    }
    this.at = there;
    this.more();
    this.draw();
  }

  more() {
    const { start, items, order, mode, per } = this.data;
    const stop = start + items.length;
    const ahead = mode === "wall" ? per : AHEAD;
    const wanted = (this.at + ahead > stop && stop < order.length) || (this.at - 6 < start && start > 0);
    if (this.at >= start && this.at < stop && !wanted) this.asked = null;
    if (!wanted || this.asked) return;
    this.asked = Date.now();
    // Not in the same breath as a decision: of two parts that speak at once, Streamlit hears one.
    setTimeout(() => this.ask(this.at), ASK_MS);
  }

  nextOpen() {
    const { order } = this.data;
    for (let step = 1; step <= order.length; step++) {
      const at = (this.at + step) % order.length;
      if (!this.stands(order[at])) return this.go(this.page(at));
    }
    if (this.data.mode !== "wall") this.go(order.length);
  }

  nextConflict() {
    const { order } = this.data;
    for (let step = 1; step <= order.length; step++) {
      const at = (this.at + step) % order.length;
      if (this.stands(order[at])?.conflict?.length) return this.go(this.page(at));
    }
  }

  // The image that somebody is at.
  place() { return this.data.mode === "wall" ? Math.min(this.at + this.cursor, this.data.order.length - 1) : this.at; }

  page(at) {
    if (this.data.mode !== "wall") return at;
    const within = Math.min(at, this.data.order.length - 1);
    return within - (within % this.data.per);
  }

  wall() {
    const { start, items, per } = this.data;
    const first = this.page(this.at);
    return items.slice(Math.max(0, first - start), first + per - start);
  }

  // -- keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.data || !this.root.isConnected) return;
    const target = event.composedPath()[0];
    const typing = target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
    if (typing) return this.typing(event, target);
    if (document.querySelector("[role=dialog], [data-testid=stPopoverBody]")) return;
    const button = target.closest?.("button, a, [role=button], [role=option], [role=tab], [role=radio]");
    if ((event.key === "Enter" || event.key === " ") && button) return; // it was reached with Tab: it does what it says
    if (event.key.startsWith("Arrow") && target.closest?.("[role=radiogroup], [role=slider], [role=tablist]")) return;
    this.held = false;
    if (this.press(keyOf(event), event.repeat, event.shiftKey)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  // Does what a key says; false where it says nothing here.
  press(key, repeat, shift) {
    const wall = this.data.mode === "wall";
    const moves = wall ? { j: this.data.per, k: -this.data.per } : { j: 1, k: -1, ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const name = key.length === 1 ? key.toLowerCase() : key;
    if (this.helping) {
      if (["h", "?", "Escape"].includes(name)) this.help(false);
      return true; // nothing is decided behind the help
    }
    if (name in moves) {
      const there = this.at + moves[name];
      if (!wall || (there >= 0 && there < this.data.order.length)) this.go(there);
      return true;
    }
    if (wall && this.wallKey(key, shift)) return true;
    const acts = {
      Enter: () => this.decideHere("keep"), s: () => this.decideHere("unsure"), x: () => this.decideHere("remove"),
      a: () => this.accept(), u: () => this.undo(), y: () => this.redo(), g: () => this.nextOpen(), h: () => this.help(true),
      "?": () => this.help(true), n: () => this.root.querySelector(".note input")?.focus(), "/": () => this.type(""),
    };
    const digit = /^[0-9]$/.test(name);
    if (!digit && !(name in acts)) return false;
    if (repeat) return true; // a key that is held down decides once
    if (!digit) acts[name]();
    else if (this.data.classes.length > 10) this.type(name);
    else if (Number(name) < this.data.classes.length) this.decideHere("relabel", Number(name));
    return true;
  }

  wallKey(key, shift) {
    const items = this.wall();
    const tiles = [...this.root.querySelectorAll(".wall .tile")];
    const wide = Math.max(1, tiles.filter((tile) => tile.offsetTop === tiles[0]?.offsetTop).length);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide };
    if (key in steps) {
      this.cursor = Math.max(0, Math.min(items.length - 1, this.cursor + steps[key]));
      if (shift) this.marked.add(items[this.cursor].id);
      this.draw();
      this.root.querySelector(".tile.here")?.scrollIntoView({ block: "nearest" });
      return true;
    }
    if (key === " ") { this.mark(this.cursor, shift); return true; }
    if (key === "*") {
      const all = items.every((item) => this.marked.has(item.id));
      items.forEach((item) => (all ? this.marked.delete(item.id) : this.marked.add(item.id)));
      this.draw();
      return true;
    }
    return false;
  }

  mark(rank, upTo) {
    const items = this.wall();
    if (!items[rank]) return;
    if (upTo && items[this.anchor]) {
      const [from, to] = [Math.min(rank, this.anchor), Math.max(rank, this.anchor)];
      for (let i = from; i <= to; i++) this.marked.add(items[i].id);
    } else if (this.marked.has(items[rank].id)) this.marked.delete(items[rank].id);
    else this.marked.add(items[rank].id);
    this.anchor = this.cursor = rank;
    this.draw();
  }

  // The box that classes are typed into, where there are more than ten, and the note.
  type(text) {
    this.typed = text;
    this.choose();
    this.draw();
    const box = this.root.querySelector(".types input");
    box?.focus();
  }

  // The first class that fits, once there is something to fit: nothing typed is no class.
  choose() { this.choice = this.typed.trim() ? 0 : -1; }

  typing(event, target) {
    if (!this.root.contains(target) || event.isComposing) return;
    if (event.key === "Escape") {
      this.typed = null;
      target.blur();
      this.draw();
    } else if (target.closest(".note")) {
      if (event.key === "Enter") target.blur();
      else return;
    } else if (event.key === "Enter") {
      const found = this.matches()[this.choice];
      if (found !== undefined) {
        this.typed = null;
        target.blur();
        this.decideHere("relabel", found);
      }
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const last = this.matches().length - 1;
      this.choice = Math.max(0, Math.min(last, this.choice + (event.key === "ArrowDown" ? 1 : -1)));
      this.list();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // Classes that the typed text may mean: its number first, then names that begin with it, then names that hold it.
  matches() {
    const text = (this.typed || "").trim().toLowerCase();
    const names = this.data.classes.map((name) => name.toLowerCase());
    const rank = (c) => (String(c) === text ? 0 : names[c] === text ? 1 : names[c].startsWith(text) ? 2
      : String(c).startsWith(text) ? 3 : names[c].includes(text) ? 4 : 9);
    return names.map((_, c) => c).filter((c) => rank(c) < 9).sort((a, b) => rank(a) - rank(b) || a - b).slice(0, 9);
  }

  help(open) {
    this.helping = open;
    if (!open) this.root.focus({ preventScroll: true });
    this.draw();
    this.root.querySelector(".help button")?.focus({ preventScroll: true });
  }

  click(event) {
    const node = event.target.closest("[data-do]");
    if (!node) return;
    this.held = false;
    const { do: what, value } = node.dataset;
    const number = Number(value);
    const acts = {
      keep: () => this.decideHere("keep"), unsure: () => this.decideHere("unsure"), remove: () => this.decideHere("remove"),
      class: () => this.decideHere("relabel", number), accept: () => this.accept(), undo: () => this.undo(),
      redo: () => this.redo(), next: () => this.press("j"), back: () => this.press("k"), open: () => this.nextOpen(),
      help: () => this.help(!this.helping), go: () => this.go(number), mark: () => this.mark(number, event.shiftKey),
      all: () => this.wallKey("*"), conflict: () => this.nextConflict(), type: () => this.type(""),
    };
    acts[what]?.();
  }

  // -- drawing

  draw() {
    this.stale = this.held;
    if (!this.data || this.held) return;
    const focused = this.root.getRootNode().activeElement;
    const kept = [".note input", ".types input", ".wall"].find((name) => focused?.matches?.(name));
    const [from, to] = kept ? [focused.selectionStart, focused.selectionEnd] : [];
    const scrolled = this.root.querySelector(".wall")?.scrollTop;
    const tabbed = focused?.dataset?.do && this.root.contains(focused) ? `[data-do="${focused.dataset.do}"][data-value="${focused.dataset.value || ""}"]` : null;
    const parts = [this.bar()];
    if (this.at >= this.data.order.length) parts.push(this.end());
    else parts.push(this.data.mode === "wall" ? this.drawWall() : this.focus());
    parts.push(this.buttons());
    if (this.data.mode !== "wall") parts.push(this.film());
    if (this.helping) parts.push(this.sheet());
    this.root.replaceChildren(...parts);
    const wall = this.root.querySelector(".wall");
    if (wall && this.root.dataset.at === String(this.at)) wall.scrollTop = scrolled;
    this.root.dataset.at = String(this.at);
    this.root.dataset.waiting = String(this.pending.length);
    if (kept) {
      const box = this.root.querySelector(kept);
      box?.focus({ preventScroll: true });
      box?.setSelectionRange?.(from, to);
    } else if (tabbed) this.root.querySelector(tabbed)?.focus({ preventScroll: true });
  }

  bar() {
    const bar = make("div", "bar");
    const { order } = this.data;
    const decided = order.filter((image) => this.stands(image)).length;
    const count = make("span", "count");
    count.append(make("b", "", String(decided)), ` of ${order.length} decided`);
    const meter = make("span", "meter");
    meter.setAttribute("role", "progressbar");
    meter.setAttribute("aria-valuemin", "0");
    meter.setAttribute("aria-valuemax", String(order.length));
    meter.setAttribute("aria-valuenow", String(decided));
    meter.setAttribute("aria-label", "decided");
    const filled = make("span", "filled");
    filled.style.width = `${(100 * decided) / order.length}%`;
    meter.append(filled);
    bar.append(count, meter);
    for (const text of this.said.lines || []) bar.append(make("span", "said", text));
    const conflicts = order.filter((image) => this.stands(image)?.conflict?.length).length;
    if (conflicts) bar.append(this.button("conflict", "", `${conflicts} with two answers`, "", "loud"));
    const { length } = this.pending;
    const late = length && this.late ? `${length} not saved yet: the server does not answer; this page keeps trying` : "";
    const state = make("span", "saved" + (this.trouble || late ? " bad" : ""), this.trouble || late || (length ? "saving…" : "saved"));
    state.setAttribute("role", "status");
    bar.append(state);
    return bar;
  }

  focus() {
    const box = make("div", "focus");
    const item = this.item();
    if (!item) {
      box.append(make("div", "coming", "This image is on its way."));
      return box;
    }
    const { classes, sources, bigScale, order } = this.data;
    const stands = this.stands(item.id);
    const hidden = this.blind && !stands;
    const left = make("div", "left");
    const picture = pic(this.data.pictures, item.picture, bigScale, "pictures big");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `training image ${item.id}, given label ${classes[item.given]}, enlarged`);
    left.append(picture, make("div", "faint", `${this.at + 1} of ${order.length} · training image ${item.id}`));
    if (item.source) left.append(make("div", "faint source", item.source));
    const right = make("div", "right");
    const head = make("div", "labels");
    head.append(make("span", "faint", "given"), make("b", "given", classes[item.given]));
    if (hidden) head.append(make("span", "faint", "suggestion hidden until you decide"));
    else if (item.suggested !== null && item.suggested !== item.given) {
      head.append(make("span", "faint", "suggested"), make("b", "suggested", classes[item.suggested]));
    } else head.append(make("span", "faint", "no other label is suggested"));
    if (!hidden) head.append(make("span", "faint place", `place ${item.place} of ${this.data.of_all} by ${this.data.queue.detector}, ${item.score}`));
    right.append(head);
    right.append(this.stood(stands, item));
    const facts = make("div", "facts");
    if (!hidden && item.bars.length) facts.append(this.fact(sources.opinion, this.bars(item)));
    if (item.near.length) {
      const labelled = item.near.map(([at, label, image]) => [at, hidden ? "" : classes[label], `training image ${image}, ${hidden ? "" : classes[label]}`, !hidden && label !== item.given]);
      const mix = hidden ? "" : item.mix.map(([c, n]) => `${n} ${classes[c]}`).join(", ");
      facts.append(this.fact(sources.neighbours, this.tiles(labelled), mix));
    }
    if (!hidden && sources.harmed) {
      const harmed = item.harmed.map(([at, label, image, said]) => [at, label === said || said === null ? classes[label] : `${classes[label]} → ${classes[said]}`,
        `validation image ${image}, ${classes[label]}`, said !== null && label !== said]);
      facts.append(this.fact(sources.harmed, item.harmed.length ? this.tiles(harmed, "harms") : make("div", "faint", "none")));
    }
    right.append(facts);
    box.append(left, right);
    return box;
  }

  stood(stands, item) {
    const { classes } = this.data;
    const line = make("div", "stands");
    const words = (one) => ({ keep: "the given label is right", relabel: `it is ${classes[one.label]}`, remove: "removed", unsure: "unsure" }[one.action]);
    if (!stands) {
      line.append(make("span", "faint", "not decided"));
      return line;
    }
    line.append(make("b", "", `${SIGNS[stands.action]} ${words(stands)}`), make("span", "faint", ` by ${stands.who}`));
    if (stands.reason) line.append(make("span", "faint", ` · ${stands.reason}`));
    if (item.control) line.append(make("span", "faint", " · a random control"));
    if (stands.conflict?.length) {
      const others = stands.conflict.map((one) => `${one.who}: ${words(one)}${one.reason ? ` (${one.reason})` : ""}`).join("; ");
      line.append(make("div", "loud", `Two answers. ${others}. Decide again, and yours settles it; until then nothing is corrected.`));
    }
    return line;
  }

  fact(title, content, more) {
    const box = make("div", "fact");
    const head = make("div", "faint", title);
    if (more) head.append(make("span", "mix", more));
    box.append(head, content);
    return box;
  }

  bars(item) {
    const box = make("div", "bars");
    for (const [c, p] of item.bars) {
      const name = make("span", c === item.given ? "mine" : "", this.data.classes[c]);
      const bar = make("span", "track");
      const filled = make("span", c === item.given ? "filled mine" : "filled");
      filled.style.width = `${100 * p}%`;
      bar.append(filled);
      box.append(name, bar, make("span", "value", p.toFixed(2)));
    }
    return box;
  }

  // list: [place in the atlas, caption, words, whether it differs]; of: the atlas's name.
  tiles(list, of = "tiles") {
    const row = make("div", "row");
    for (const [at, caption, words, differs] of list) {
      const tile = make("span", "mini" + (differs ? " differs" : ""));
      const picture = pic(this.data[of], at, this.data.scale, of);
      picture.setAttribute("role", "img");
      picture.setAttribute("aria-label", words);
      tile.title = words;
      tile.append(picture, make("span", "caption", caption));
      row.append(tile);
    }
    return row;
  }

  drawWall() {
    const { classes, scale } = this.data;
    const wall = make("div", "wall");
    wall.tabIndex = 0;
    wall.setAttribute("role", "listbox");
    wall.setAttribute("aria-activedescendant", `tile-${this.cursor}`);
    wall.setAttribute("aria-multiselectable", "true");
    wall.setAttribute("aria-label", "images to mark");
    const items = this.wall();
    if (!items.length) wall.append(make("div", "coming", "These images are on their way."));
    items.forEach((item, rank) => {
      const stands = this.stands(item.id), hidden = this.blind && !stands;
      const tile = make("div", "tile" + (rank === this.cursor ? " here" : "") + (stands ? " decided" : ""));
      tile.id = `tile-${rank}`;
      tile.setAttribute("role", "option");
      tile.setAttribute("aria-selected", String(this.marked.has(item.id)));
      tile.dataset.do = "mark";
      tile.dataset.value = String(rank);
      const change = hidden || item.suggested === null || item.suggested === item.given ? classes[item.given] : `${classes[item.given]} → ${classes[item.suggested]}`;
      tile.title = `training image ${item.id}: ${change}`;
      tile.setAttribute("aria-label", tile.title);
      tile.append(pic(this.data.tiles, item.at, scale, "tiles"));
      if (stands) tile.append(make("span", "sign" + (stands.conflict?.length ? " loud" : ""), stands.conflict?.length ? "!" : SIGNS[stands.action]));
      const then = { relabel: () => `→ ${classes[stands.label]}`, remove: () => "removed", keep: () => "is right", unsure: () => "unsure" };
      const below = stands ? then[stands.action]() : change === classes[item.given] ? "" : `→ ${classes[item.suggested]}`;
      tile.append(make("span", "caption", classes[item.given]), make("span", "caption then", below));
      wall.append(tile);
    });
    return wall;
  }

  end() {
    const box = make("div", "end");
    const open = this.data.order.filter((image) => !this.stands(image)).length;
    box.append(make("b", "", "The end of this queue."),
      make("span", "", open ? ` ${open} of its images are not decided.` : " All of its images are decided. Take the corrections home, or see what they are worth, above."));
    if (open) box.append(this.button("open", "", "Go to the next one that is open", "G"));
    box.append(this.button("back", "", "Back", "K"));
    return box;
  }

  button(what, value, text, key, more = "") {
    const button = make("button", more);
    button.type = "button";
    button.dataset.do = what;
    button.dataset.value = value;
    if (key) button.append(make("kbd", "", key));
    button.append(make("span", "", text));
    if (text.length > 30) button.title = text; // it is cut
    return button;
  }

  buttons() {
    const { classes, mode } = this.data, wall = mode === "wall";
    const item = this.at < this.data.order.length ? this.item() : null;
    const box = make("div", "buttons");
    const labels = make("div", "line classes");
    if (classes.length > 10) {
      labels.append(this.types());
    } else if (classes.length > 1) {
      classes.forEach((name, c) => labels.append(this.button("class", c, name, String(c), !wall && item?.given === c ? "given" : "")));
    }
    const acts = make("div", "line");
    const marked = wall ? this.markedHere().length : 0;
    const whose = wall ? (marked ? ` (${marked})` : "") : "";
    acts.append(this.button("keep", "", `given is right${whose}`, "Enter"));
    if (!this.blind || !wall) {
      acts.append(this.button("accept", "", wall ? (marked ? `accept suggestion (${marked})` : "accept all suggestions") : "accept suggestion", "A"));
    }
    acts.append(this.button("unsure", "", `unsure${whose}`, "S"), this.button("remove", "", `remove${whose}`, "X"),
      this.button("undo", "", "undo", "U"), this.button("redo", "", "redo", "Y"));
    // Not `disabled`, which drops the focus: Enter would then mean the given label.
    const off = (button, is) => button.setAttribute("aria-disabled", String(is));
    off(acts.querySelector("[data-do=undo]"), !this.done.length);
    off(acts.querySelector("[data-do=redo]"), !this.undone.length);
    if (wall) {
      for (const what of ["keep", "unsure", "remove"]) off(acts.querySelector(`[data-do=${what}]`), !marked);
      labels.querySelectorAll("button").forEach((one) => off(one, !marked));
      acts.append(this.button("all", "", marked ? "mark none" : "mark all", "*"));
    }
    acts.append(this.button("back", "", wall ? "previous wall" : "previous", "K"), this.button("next", "", wall ? "next wall" : "next", "J"),
      this.button("open", "", "next open", "G"), this.button("help", "", "help", "H"));
    const note = make("label", "note");
    note.append(make("kbd", "", "N"), "note ");
    const input = make("input");
    input.type = "text";
    input.maxLength = 500;
    input.value = this.note || "";
    input.placeholder = "why, for the next decision";
    input.addEventListener("input", () => { this.note = input.value; });
    note.append(input);
    acts.append(note);
    box.append(labels, acts);
    return box;
  }

  types() {
    const box = make("div", "types");
    if (this.typed === null) {
      box.append(this.button("type", "", `another class (${this.data.classes.length})`, "/"));
      return box;
    }
    const input = make("input");
    input.type = "text";
    input.value = this.typed;
    input.placeholder = "number or name";
    input.setAttribute("aria-label", "class: number or name");
    input.addEventListener("input", () => { this.typed = input.value; this.choose(); this.list(); });
    this.found = make("div", "found");
    box.append(input, this.found);
    this.list();
    return box;
  }

  list() {
    this.found.replaceChildren(...this.matches().map((c, i) =>
      this.button("class", c, `${c} ${this.data.classes[c]}`, "", i === this.choice ? "given" : "")));
    if (!this.found.childElementCount) this.found.append(make("span", "faint", "no class of that name"));
  }

  film() {
    const film = make("div", "film");
    film.setAttribute("aria-hidden", "true");
    const first = Math.max(0, this.at - FILM);
    for (let at = first; at <= Math.max(this.at + FILM, 2 * FILM) && at < this.data.order.length; at++) {
      const item = this.item(at);
      const stands = this.stands(this.data.order[at]);
      const frame = make("span", "frame" + (at === this.at ? " here" : "") + (stands ? " decided" : ""));
      frame.dataset.do = "go";
      frame.dataset.value = String(at);
      if (item) frame.append(pic(this.data.tiles, item.at, this.data.filmScale, "tiles"));
      frame.append(make("span", "sign" + (stands?.conflict?.length ? " loud" : ""), stands ? (stands.conflict?.length ? "!" : SIGNS[stands.action]) : ""));
      film.append(frame);
    }
    return film;
  }

  sheet() {
    const sheet = make("div", "help");
    sheet.setAttribute("role", "region");
    sheet.setAttribute("aria-label", "keys");
    const table = make("dl");
    for (const [keys, words] of [...HELP, ...(this.data.mode === "wall" ? WALL_HELP : [])]) table.append(make("dt", "", keys), make("dd", "", words));
    sheet.append(make("b", "", "Keys"), table, this.button("help", "", "close", "H"));
    return sheet;
  }
}

// What a key says on any layout: digits are those of the row over the letters (AZERTY has them behind Shift), and where
// letters are not Latin ones, the place on the keyboard counts.
function keyOf({ key, code = "", shiftKey }) {
  if (/^Digit\d$/.test(code) && !shiftKey && key !== "*") return code.at(-1);
  if (/^Key[A-Z]$/.test(code) && key.length === 1 && key > "~") return code.at(-1).toLowerCase();
  return key;
}

function uid() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

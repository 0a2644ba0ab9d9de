// The audit's review: one image at a time, or a wall of them, decided by key; pages/labels/review_component.py documents the
// data. outbox.js carries decisions to the server, decisions.js knows what was decided, and tiles.js draws the parts; all
// are put in front of this file.
// A decision is drawn at once and belongs to the image that was shown when its key went down; it is called saved only when
// the server has said so. Until then it is sent again. Whatever comes from data is written with textContent.

const ASK_MS = 60; // after a step, further images are asked for,
const ASK_AGAIN_MS = 900; // and again where they do not come
const AHEAD = 22; // images that should be there already beyond the one that is shown
const FILM = 10; // images of the film on each side of the one that is shown

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let review = hub.review;
  if (!review || review.parent !== parentElement) {
    review?.close();
    review = hub.review = new Review(parentElement);
  }
  review.leave = (step) => setStateValue("go", { step, n: ++review.asks });
  review.fetch = (at) => setStateValue("at", { token: data.token, at, n: ++review.asks });
  review.take(data);
  if (hub.answer) review.hear(hub.answer);
  return () => {
    review.close();
    if (hub.review === review) hub.review = null;
    hub.sendRest?.();
  };
}

class Review {
  constructor(parent) {
    this.parent = parent;
    this.pictures = make("style");
    this.root = make("div", "audit");
    this.root.tabIndex = -1;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "review queue");
    parent.append(this.pictures, this.root);
    this.decisions = new Decisions();
    this.outbox = this.decisions.outbox;
    this.asks = 0;
    this.held = false; // while a button is pressed or a character composed, nothing is drawn: it would be lost
    this.lines = []; // how good the detector has been so far
    this.rows = []; // how many errors there are, in sentences
    this.tabs = []; // other tabs that have just decided under the same name
    this.hint = ""; // what the last key did, where it decided nothing
    this.question = null; // {text, yes, run}: nothing else is done until it is answered
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
  warn(event) { if (this.outbox.length && this.outbox.late) event.preventDefault(); }

  // -- what comes from the server

  take(data) {
    const fresh = !this.data || this.data.token !== data.token;
    const place = this.data?.of === data.of && this.data.queue.number === data.queue.number ? this.place() : null;
    this.data = data;
    this.asked = null;
    this.pictures.textContent = ["pictures", "tiles", "harms"].map((name) => pictureRule(name, data[name].url)).join("");
    if (fresh) {
      const at = place ?? data.at; // another way to show the same queue goes on where it was
      this.at = this.page(at);
      this.marked.clear();
      this.cursor = at - this.at;
      this.anchor = undefined;
      this.decisions.begin(data);
      if (place === null && data.mode !== "wall") while (this.decisions.unwritten.has(data.order[this.at])) this.at += 1;
      this.note = "";
      this.typed = null;
      this.hint = "";
      this.question = null;
    }
    this.decisions.learn(data.standing, data.upto);
    if (fresh) this.fetchMore();
    this.draw();
    // Somebody who has just clicked on "wall" or chosen a queue goes on with the keyboard here.
    if (fresh && !document.activeElement?.matches("textarea, input:not([role=combobox]), [aria-expanded=true]")) {
      this.root.focus({ preventScroll: true });
    }
    if (this.outbox.length) this.decisions.send();
  }

  // An answer of the server.
  hear(answer) {
    if (!this.data) return;
    this.error = answer.error;
    this.tabs = answer.tabs || [];
    if (answer.queue === this.data.queue.number) {
      this.lines = answer.said.lines || [];
      this.rows = answer.said.rows || [];
      this.decisions.learn(answer.changed, answer.upto);
    }
    const roundTrip = this.decisions.acknowledge(answer.acked);
    if (roundTrip !== null) this.root.dataset.roundTrip = String(roundTrip);
    this.leaveWhenSaved();
    this.draw();
  }

  // To another step, once all is saved: of two parts that speak at once, Streamlit hears one.
  leaveWhenSaved() {
    if (!this.goal || (this.outbox.length && !this.outbox.late)) return;
    this.leave(this.goal);
    this.goal = null;
  }

  // -- decisions

  decision(image) { return this.decisions.get(image); }

  item(at = this.at) { return this.data.items[at - this.data.start]; }

  get blind() { return this.data.queue.blind; }

  // Decides, or asks first where another tab's newer decisions would be changed; then(): once it is done.
  decide(items, action, labels, then) {
    const run = () => {
      if (this.decisions.add(items, action, labels, this.note, this.at)) {
        this.note = "";
        this.typed = null;
      }
      then();
    };
    const others = this.decisions.decidedElsewhere(items, action, labels);
    if (others.length) this.ask(overwriteQuestion(others, this.data.classes), "replace", run);
    else run();
  }

  // Asks before it does something; nothing happens until it is answered, with Y, or with N or Escape.
  ask(text, yes, run) {
    this.question = { text, yes, run };
    this.draw();
  }

  answer(yes) {
    const { run } = this.question;
    this.question = null;
    if (yes) run();
    this.root.focus({ preventScroll: true });
    this.draw();
  }

  decideHere(action, label) {
    const item = this.item();
    if (!item) return; // still on its way: there is nothing on the screen to decide about
    if (this.data.mode === "wall") return this.decideMarked(action, label);
    if (action === "relabel" && (label === null || label === undefined)) return;
    this.decide([item], action, [label], () => this.goTo(this.at + 1));
  }

  // With nothing marked it marks the image that the cursor is at, and the next key decides.
  decideMarked(action, label) {
    const items = this.markedHere();
    if (!items.length) return this.markFirst();
    this.decide(items, action, items.map(() => label), () => this.unmark(items));
  }

  markFirst() {
    const item = this.wall()[this.cursor];
    if (!item) return;
    this.marked.add(item.id);
    this.anchor = this.cursor;
    this.hint = `Image ${item.id} is marked: press the key again to decide.`;
    this.draw();
    this.root.querySelector(".tile.here")?.scrollIntoView({ block: "nearest" });
  }

  // The suggestion is right: of this image, of the marked ones, or, when confirmed, of all on the wall that are not decided.
  accept() {
    if (this.data.mode !== "wall") {
      const item = this.item();
      if (item && (!this.blind || this.decision(item.id))) this.decideHere("relabel", item.suggested);
      return;
    }
    if (this.blind) return;
    const marked = this.markedHere();
    const chosen = marked.length ? marked : this.undecidedHere();
    const run = () => this.decide(chosen, "relabel", chosen.map((item) => item.suggested), () => this.unmark(chosen));
    if (marked.length) run();
    else if (chosen.length) this.ask(allQuestion(chosen.length, this.unseen(chosen)), `decide all ${chosen.length}`, run);
  }

  undecidedHere() { return this.wall().filter((item) => !this.decision(item.id)); }

  // How many of the images are not on the screen: above or below what the wall shows of itself.
  unseen(items) {
    const ids = new Set(items.map((item) => item.id));
    const wall = this.root.querySelector(".wall").getBoundingClientRect();
    const tiles = [...this.root.querySelectorAll(".wall .tile")];
    return this.wall().filter((item, rank) => {
      const box = tiles[rank]?.getBoundingClientRect();
      const middle = box && (box.top + box.bottom) / 2;
      return ids.has(item.id) && (!box || middle < wall.top || middle > Math.min(wall.bottom, window.innerHeight));
    }).length;
  }

  markedHere() { return this.wall().filter((item) => this.marked.has(item.id)); }

  unmark(items) {
    for (const item of items) this.marked.delete(item.id);
    this.hint = "";
    this.draw();
  }

  // action: undo or redo.
  revise(action) {
    const step = this.decisions.revise(action);
    if (!step) return;
    if (this.data.mode === "wall") this.goTo(this.page(step.at));
    else this.goTo(action === "undo" ? step.at : step.at + 1);
  }

  // Twice a second: asks again for images, and sends decisions again, where no answer came.
  tick() {
    if (this.asked && Date.now() - this.asked > ASK_AGAIN_MS) {
      this.asked = null;
      this.fetchMore();
    }
    if (this.data && this.decisions.resendIfLate()) this.draw();
    if (this.data) this.leaveWhenSaved();
  }

  // -- moving

  goTo(at) {
    const most = this.data.order.length;
    const there = Math.max(0, Math.min(most, at)); // one beyond the last: the end
    if (this.data.mode === "wall" && there !== this.at) {
      this.cursor = 0;
      this.anchor = undefined;
      this.hint = "";
    }
    this.at = there;
    this.fetchMore();
    this.draw();
  }

  // Asks the server for images around the one that is shown, where they are not here yet.
  fetchMore() {
    const { start, items, order, mode, per } = this.data;
    const stop = start + items.length;
    const ahead = mode === "wall" ? per : AHEAD;
    const wanted = (this.at + ahead > stop && stop < order.length) || (this.at - 6 < start && start > 0);
    if (this.at >= start && this.at < stop && !wanted) this.asked = null;
    if (!wanted || this.asked) return;
    this.asked = Date.now();
    // Not in the same breath as a decision: of two parts that speak at once, Streamlit hears one.
    setTimeout(() => this.fetch(this.at), ASK_MS);
  }

  nextOpen() {
    const { order } = this.data;
    for (let step = 1; step <= order.length; step++) {
      const at = (this.at + step) % order.length;
      if (!this.decision(order[at])) return this.goTo(this.page(at));
    }
    if (this.data.mode !== "wall") this.goTo(order.length);
  }

  nextConflict() {
    const { order } = this.data;
    for (let step = 1; step <= order.length; step++) {
      const at = (this.at + step) % order.length;
      if (this.decision(order[at])?.conflict?.length) return this.goTo(this.page(at));
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
    if (this.question) {
      if (!repeat && (name === "y" || name === "n" || name === "Escape")) this.answer(name === "y");
      return name !== "Tab"; // nothing else is decided before it is answered
    }
    if (this.helping) {
      if (["h", "?", "Escape"].includes(name)) this.help(false);
      return true; // nothing is decided behind the help
    }
    if (name in moves) {
      const there = this.at + moves[name];
      if (!wall || (there >= 0 && there < this.data.order.length)) this.goTo(there);
      return true;
    }
    if (wall && this.wallKey(key, shift)) return true;
    const actions = {
      Enter: () => this.decideHere("keep"), s: () => this.decideHere("unsure"), x: () => this.decideHere("remove"),
      a: () => this.accept(), u: () => this.revise("undo"), y: () => this.revise("redo"), g: () => this.nextOpen(), h: () => this.help(true),
      "?": () => this.help(true), e: () => this.export(), n: () => this.root.querySelector(".note input")?.focus(), "/": () => this.type(""),
    };
    const digit = /^[0-9]$/.test(name);
    if (!digit && !(name in actions)) return false;
    if (repeat) return true; // a key that is held down decides once
    if (!digit) actions[name]();
    else if (this.data.classes.length > 10) this.type(name);
    else if (Number(name) < this.data.classes.length) this.decideHere("relabel", Number(name));
    return true;
  }

  export() {
    this.goal = "export";
    this.leaveWhenSaved();
  }

  wallKey(key, shift) {
    const items = this.wall();
    const tiles = [...this.root.querySelectorAll(".wall .tile")];
    const wide = Math.max(1, tiles.filter((tile) => tile.offsetTop === tiles[0]?.offsetTop).length);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide };
    if (key in steps) {
      this.cursor = Math.max(0, Math.min(items.length - 1, this.cursor + steps[key]));
      if (shift) this.marked.add(items[this.cursor].id);
      this.hint = "";
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
    this.hint = "";
    this.draw();
  }

  // The box that classes are typed into, where there are more than ten, and the note.
  type(text) {
    this.typed = text;
    this.chooseFirst();
    this.draw();
    const box = this.root.querySelector(".types input");
    box?.focus();
  }

  // The first class that fits, once there is something to fit: nothing typed is no class.
  chooseFirst() { this.choice = this.typed.trim() ? 0 : -1; }

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
      const chosen = this.matches()[this.choice];
      if (chosen !== undefined) {
        this.typed = null;
        target.blur();
        this.decideHere("relabel", chosen);
      }
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const last = this.matches().length - 1;
      this.choice = Math.max(0, Math.min(last, this.choice + (event.key === "ArrowDown" ? 1 : -1)));
      this.listMatches();
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
    if (!node || node.getAttribute("aria-disabled") === "true") return;
    this.held = false;
    const { do: what, value } = node.dataset;
    const number = Number(value);
    if (this.question && !["yes", "no"].includes(what)) return;
    const actions = {
      keep: () => this.decideHere("keep"), unsure: () => this.decideHere("unsure"), remove: () => this.decideHere("remove"),
      class: () => this.decideHere("relabel", number), accept: () => this.accept(), undo: () => this.revise("undo"),
      redo: () => this.revise("redo"), next: () => this.press("j"), back: () => this.press("k"), open: () => this.nextOpen(),
      help: () => this.help(!this.helping), go: () => this.goTo(number), mark: () => this.mark(number, event.shiftKey),
      all: () => this.wallKey("*"), conflict: () => this.nextConflict(), type: () => this.type(""),
      yes: () => this.answer(true), no: () => this.answer(false), export: () => this.export(),
      tabs: () => { this.tabs.forEach((tab) => (hub.dismissed ??= new Set()).add(tab)); this.root.focus({ preventScroll: true }); this.draw(); },
    };
    actions[what]?.();
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
    const parts = [...this.tabWarning(), this.bar()];
    if (this.at >= this.data.order.length) parts.push(this.end());
    else parts.push(this.data.mode === "wall" ? this.drawWall() : this.image());
    parts.push(this.buttons());
    if (this.data.mode !== "wall") parts.push(this.film());
    // At the end, so that nothing that is pointed at moves as they come and change.
    parts.push(...this.rows.map((text) => make("div", "errors", text)));
    if (this.helping) parts.push(helpSheet(this.data.mode));
    if (this.question) parts.push(questionBox(this.question));
    this.root.replaceChildren(...parts);
    const wall = this.root.querySelector(".wall");
    if (wall && this.root.dataset.at === String(this.at)) wall.scrollTop = scrolled;
    this.root.dataset.at = String(this.at);
    this.root.dataset.waiting = String(this.outbox.length);
    if (kept) {
      const box = this.root.querySelector(kept);
      box?.focus({ preventScroll: true });
      box?.setSelectionRange?.(from, to);
    } else if (tabbed) this.root.querySelector(tabbed)?.focus({ preventScroll: true });
  }

  // Where another tab has just decided under the same name.
  tabWarning() {
    const others = this.tabs.filter((tab) => tab !== hub.client && !hub.dismissed?.has(tab));
    if (!others.length) return [];
    const box = make("div", "warning");
    box.setAttribute("role", "alert");
    box.append(make("span", "", tabSentence(this.data.who)), actionButton("tabs", "", "OK", ""));
    return [box];
  }

  bar() {
    const bar = make("div", "bar");
    const { order } = this.data;
    bar.append(...progressParts(order.filter((image) => this.decision(image)).length, order.length));
    for (const text of this.lines) bar.append(make("span", "said", text));
    const conflicts = order.filter((image) => this.decision(image)?.conflict?.length).length;
    if (conflicts) bar.append(actionButton("conflict", "", `${conflicts} conflict${conflicts > 1 ? "s" : ""}: show`, "", "loud"));
    if (this.hint) bar.append(make("b", "hint", this.hint));
    const { length, late } = this.outbox;
    const warning = length && late ? `${length} not saved yet: the server does not answer; this page keeps trying` : "";
    const problem = this.error || warning;
    const state = make("span", "saved" + (problem ? " bad" : ""), problem || (length ? "saving…" : "saved"));
    state.setAttribute("role", "status");
    bar.append(state);
    return bar;
  }

  image() {
    const box = make("div", "focus");
    const item = this.item();
    if (!item) {
      box.append(make("div", "coming", "Loading this image …"));
      return box;
    }
    const decision = this.decision(item.id);
    const hidden = this.blind && !decision;
    const left = make("div", "left");
    left.append(enlargedImage(this.data, item), make("div", "faint", `${this.at + 1} of ${this.data.order.length} · training image ${item.id}`));
    if (item.source) left.append(make("div", "faint source", item.source));
    const right = make("div", "right");
    right.append(labelsLine(this.data, item, hidden, Boolean(decision)), decisionLine(decision, item, this.data.classes), evidenceBox(this.data, item, hidden));
    box.append(left, right);
    return box;
  }

  drawWall() {
    const wall = make("div", "wall");
    wall.tabIndex = 0;
    wall.setAttribute("role", "listbox");
    wall.setAttribute("aria-activedescendant", `tile-${this.cursor}`);
    wall.setAttribute("aria-multiselectable", "true");
    wall.setAttribute("aria-label", "images of this wall");
    const items = this.wall();
    if (!items.length) wall.append(make("div", "coming", "Loading these images …"));
    wall.append(...items.map((item, rank) => {
      const decision = this.decision(item.id);
      const state = { decision, here: rank === this.cursor, marked: this.marked.has(item.id), hidden: this.blind && !decision };
      return wallTile(this.data, item, rank, state);
    }));
    return wall;
  }

  end() {
    const box = make("div", "end");
    const open = this.data.order.filter((image) => !this.decision(image)).length;
    box.append(make("b", "", "End of this queue."), make("span", "", open ? ` ${open} of its images are undecided.` : " All of its images are decided."));
    if (open) box.append(actionButton("open", "", "Next undecided", "G"));
    box.append(actionButton("back", "", "Previous", "K"), actionButton("export", "", "Export the corrections", "E"));
    return box;
  }

  buttons() {
    const wall = this.data.mode === "wall";
    const marked = wall ? this.markedHere().length : 0;
    const labels = this.classButtons();
    const actions = this.actionButtons(wall, marked);
    if (wall) {
      for (const action of ["keep", "unsure", "remove"]) setOff(actions.querySelector(`[data-do=${action}]`), !marked);
      labels.querySelectorAll("button").forEach((button) => setOff(button, !marked));
      if (!this.blind) setOff(actions.querySelector("[data-do=accept]"), !marked && !this.undecidedHere().length);
    }
    const box = make("div", "buttons");
    box.append(labels, actions, keyLine(this.data.mode));
    return box;
  }

  classButtons() {
    const { classes, mode } = this.data;
    const line = make("div", "line classes");
    if (classes.length > 10) line.append(this.classInput());
    else if (classes.length > 1) {
      const given = mode !== "wall" && this.at < this.data.order.length ? this.item()?.given : undefined;
      classes.forEach((name, c) => line.append(actionButton("class", c, name, String(c), c === given ? "given" : "")));
    }
    line.append(this.noteInput());
    return line;
  }

  actionButtons(wall, marked) {
    const line = make("div", "line");
    const count = marked ? ` (${marked})` : "";
    line.append(actionButton("keep", "", `Keep label${count}`, "Enter"));
    if (!this.blind || !wall) line.append(actionButton("accept", "", wall && !marked ? `Accept all ${this.undecidedHere().length} suggestions …` : `Accept suggestion${count}`, "A"));
    const undo = actionButton("undo", "", "Undo", "U"), redo = actionButton("redo", "", "Redo", "Y");
    setOff(undo, !this.decisions.done.length);
    setOff(redo, !this.decisions.undone.length);
    line.append(actionButton("unsure", "", `Unsure${count}`, "S"), actionButton("remove", "", `Remove image${count}`, "X"), undo, redo);
    if (wall) line.append(actionButton("all", "", marked ? "Mark none" : "Mark all", "*"));
    line.append(actionButton("back", "", wall ? "Previous wall" : "Previous", "K"), actionButton("next", "", wall ? "Next wall" : "Next", "J"),
      actionButton("open", "", "Next undecided", "G"), actionButton("export", "", "Export", "E"), actionButton("help", "", "All keys", "H"));
    return line;
  }

  noteInput() {
    const note = make("label", "note");
    note.append(make("kbd", "", "N"), "Note ");
    const input = make("input");
    input.type = "text";
    input.maxLength = 500;
    input.value = this.note || "";
    input.placeholder = "reason for the next decision";
    input.addEventListener("input", () => { this.note = input.value; });
    note.append(input);
    return note;
  }

  classInput() {
    const box = make("div", "types");
    if (this.typed === null) {
      box.append(actionButton("type", "", `Another label (${this.data.classes.length.toLocaleString("en")} classes)`, "/"));
      return box;
    }
    const input = make("input");
    input.type = "text";
    input.value = this.typed;
    input.placeholder = "number or name";
    input.setAttribute("aria-label", "label: number or name of a class");
    input.addEventListener("input", () => { this.typed = input.value; this.chooseFirst(); this.listMatches(); });
    this.matchList = make("div", "found");
    box.append(input, this.matchList);
    this.listMatches();
    return box;
  }

  listMatches() {
    this.matchList.replaceChildren(...this.matches().map((c, i) =>
      actionButton("class", c, `${c} ${this.data.classes[c]}`, "", i === this.choice ? "given" : "")));
    if (!this.matchList.childElementCount) this.matchList.append(make("span", "faint", "No class of that name"));
  }

  film() {
    const film = make("div", "film");
    film.setAttribute("aria-hidden", "true");
    const { order } = this.data;
    const first = Math.max(0, this.at - FILM), last = Math.max(this.at + FILM, 2 * FILM);
    for (let at = first; at <= last && at < order.length; at++) {
      film.append(filmFrame(this.data, at, this.item(at), this.decision(order[at]), at === this.at));
    }
    return film;
  }
}

// What a key says on any layout: digits are those of the row over the letters (AZERTY has them behind Shift), and where
// letters are not Latin ones, the place on the keyboard counts.
function keyOf({ key, code = "", shiftKey }) {
  if (/^Digit\d$/.test(code) && !shiftKey && key !== "*") return code.at(-1);
  if (/^Key[A-Z]$/.test(code) && key.length === 1 && key > "~") return code.at(-1).toLowerCase();
  return key;
}

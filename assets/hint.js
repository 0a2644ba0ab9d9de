// A hint in steps beside what each is about; it lies over the page and moves nothing. pages/debug/hint.py has the words.
// A step names elements of the page; where none of them is there, the hint stands alone in the corner.

let card = null;
let reached = 0; // the step to go on at, where the hint was taken away meanwhile

export default function (component) {
  const { parentElement, data } = component;
  if (!card || !card.root.isConnected) card = new Hint(parentElement, data);
  card.send = component.setTriggerValue;
  return () => { if (card) card.end(); card = null; };
}

class Hint {
  constructor(parent, data) {
    this.data = data;
    this.step = Math.min(reached, data.steps.length - 1);
    this.root = document.createElement("div");
    this.root.className = "hint";
    this.root.setAttribute("role", "region");
    this.root.setAttribute("aria-label", "Hint");
    this.frame = document.createElement("div");
    this.frame.className = "around";
    this.frame.setAttribute("aria-hidden", "true");
    parent.append(this.frame, this.root);
    this.follow = () => this.place();
    addEventListener("scroll", this.follow, { passive: true, capture: true });
    addEventListener("resize", this.follow);
    this.watch = setInterval(this.follow, 500); // rows may arrive later
    this.draw();
  }

  end() {
    removeEventListener("scroll", this.follow, { capture: true });
    removeEventListener("resize", this.follow);
    clearInterval(this.watch);
    this.root.remove();
    this.frame.remove();
  }

  draw() {
    const { title, text } = this.data.steps[this.step], last = this.step === this.data.steps.length - 1;
    const head = document.createElement("b"), words = document.createElement("p"), foot = document.createElement("div");
    head.textContent = `${this.step + 1} of ${this.data.steps.length}: ${title}`;
    words.textContent = text;
    const button = (label, act) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = label;
      made.addEventListener("click", act);
      foot.append(made);
      return made;
    };
    const close = () => {
      document.cookie = `${this.data.cookie}=seen; path=/; max-age=31536000; samesite=lax`;
      this.send("close", true);
      this.end();
    };
    if (!last) button("Skip", close);
    const next = button(last ? "Done" : "Next", () => { if (last) return close(); this.step = reached = this.step + 1; this.draw(); });
    next.className = "next";
    this.root.replaceChildren(head, words, foot);
    this.place();
    if (this.step) next.focus({ preventScroll: true });
  }

  // The first element of the page that a step names; ">>>" leads into a component.
  find() {
    for (const path of this.data.steps[this.step].at) {
      const found = path.split(" >>> ").reduce((root, selector) => root && inside(root, selector), document);
      if (found && found.getBoundingClientRect().width) return found;
    }
    return null;
  }

  place() {
    const node = this.find(), { innerWidth, innerHeight } = window;
    this.frame.style.display = node ? "block" : "none";
    const size = this.root.getBoundingClientRect();
    if (!node) {
      Object.assign(this.root.style, { left: `${innerWidth - size.width - 16}px`, top: `${innerHeight - size.height - 56}px` });
      return;
    }
    const box = node.getBoundingClientRect(), top = Math.max(4, box.top - 4), bottom = Math.min(innerHeight - 4, box.bottom + 4);
    Object.assign(this.frame.style, {
      left: `${box.left - 4}px`, top: `${top}px`, width: `${box.width + 4}px`, height: `${Math.max(0, bottom - top)}px`,
    });
    const below = bottom + size.height + 12 < innerHeight, above = top - size.height - 10 > 60;
    const y = below ? bottom + 8 : above ? top - size.height - 8 : innerHeight - size.height - 56;
    this.root.style.left = `${Math.max(8, Math.min(box.left, innerWidth - size.width - 16))}px`;
    this.root.style.top = `${y}px`;
  }
}

function inside(root, selector) {
  const found = root.querySelector(selector);
  if (found) return found;
  for (const node of root.querySelectorAll("*")) {
    const deeper = node.shadowRoot && node.shadowRoot.querySelector(selector);
    if (deeper) return deeper;
  }
  return null;
}

// The drawer under the keyboard: what opened it hands it the focus and gets it back, and Esc closes it.

const SELECTOR = ".st-key-drawer";

export default function ({ parentElement, data }) {
  const drawer = (parentElement.getRootNode().host ?? parentElement).closest(SELECTOR);
  if (!drawer) return;
  drawer.setAttribute("role", "dialog");
  drawer.setAttribute("aria-label", data.panel);
  drawer.tabIndex = -1;
  if (!window.lineupDrawer) {
    window.lineupDrawer = { opener: null, root: null, isOpen: false };
    document.addEventListener("keydown", closeOnEscape, true);
  }
  if (!window.lineupDrawer.isOpen) {
    const opener = deepFocus();
    window.lineupDrawer = { opener, root: opener.getRootNode(), isOpen: true };
    drawer.focus({ preventScroll: true });
  }
  return () => setTimeout(handFocusBack, 150);
}

function handFocusBack() {
  if (document.querySelector(SELECTOR)) return; // its panel was only turned
  const { opener, root } = window.lineupDrawer;
  window.lineupDrawer = { opener: null, root: null, isOpen: false };
  // a tile that was drawn anew meanwhile is the one that its strip still keeps in the tab order
  const back = opener?.isConnected || root === document ? opener : root?.querySelector("[role=option][tabindex='0']");
  back?.focus({ preventScroll: true });
}

function closeOnEscape(event) {
  if (event.key === "Escape" && !isOverlaid()) document.querySelector(`${SELECTOR} .st-key-close-drawer button`)?.click();
}

function deepFocus() {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at;
}

// a list, a menu or a popover of Streamlit's is open above, and takes Esc for itself
function isOverlaid() {
  return document.querySelector("[data-testid=stPopoverBody], [data-baseweb=popover] [role=listbox], [role=menu]") !== null;
}

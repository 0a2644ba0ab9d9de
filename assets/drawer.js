// The drawer under the keyboard: what opened it hands it the focus and gets it back, and Esc closes it.

const SELECTOR = ".st-key-drawer";

export default function ({ parentElement, data }) {
  const drawer = (parentElement.getRootNode().host ?? parentElement).closest(SELECTOR);
  if (!drawer) return;
  drawer.setAttribute("role", "dialog");
  drawer.setAttribute("aria-label", data.panel);
  drawer.tabIndex = -1;
  if (!window.lineupDrawer) {
    window.lineupDrawer = { opener: null, isOpen: false };
    document.addEventListener("keydown", closeOnEscape, true);
  }
  if (!window.lineupDrawer.isOpen) {
    window.lineupDrawer = { opener: deepFocus(), isOpen: true };
    drawer.focus({ preventScroll: true });
  }
  return () => setTimeout(handFocusBack, 150);
}

function handFocusBack() {
  if (document.querySelector(SELECTOR)) return; // its panel was only turned
  const { opener } = window.lineupDrawer;
  window.lineupDrawer = { opener: null, isOpen: false };
  if (opener?.isConnected) opener.focus({ preventScroll: true });
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

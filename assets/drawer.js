// The drawer under the keyboard: what opened it hands it the focus and gets it back, and Esc closes it.

export default function ({ parentElement, data }) {
  const drawer = (parentElement.getRootNode().host ?? parentElement).closest(".st-key-drawer");
  if (!drawer) return;
  drawer.setAttribute("role", "dialog");
  drawer.setAttribute("aria-label", data.panel);
  if (drawer.lineup) return drawer.lineup;
  const before = deepFocus();
  const closes = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || isOverlaid()) return;
    drawer.querySelector(".st-key-close-drawer button")?.click();
  };
  document.addEventListener("keydown", closes);
  drawer.tabIndex = -1;
  if (!window.lineupDrawer) drawer.focus({ preventScroll: true });
  window.lineupDrawer = true;
  drawer.lineup = () => {
    document.removeEventListener("keydown", closes);
    delete drawer.lineup;
    setTimeout(() => { // a panel that is only turned is drawn again at once
      if (document.querySelector(".st-key-drawer")) return;
      window.lineupDrawer = false;
      if (before?.isConnected) before.focus({ preventScroll: true });
    }, 100);
  };
  return drawer.lineup;
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

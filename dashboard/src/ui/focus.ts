import { useEffect, useRef } from "react";

/** The id of what holds the page. */
export const PAGE = "page";

/** Dialogs and menus give the focus back in the next frame; only then it is known to be lost. */
const GIVEN_BACK_MS = 100;

/** Whoever uses a keyboard or a screen reader is never left nowhere: what takes the focus away leads to the page's top. */
export function useFocus(path: string, hasFocus: boolean): void {
  useFocusOnArrival(path, hasFocus);
  useFocusKept();
}

/** Another page begins at its top; the first one does when it follows a form. */
function useFocusOnArrival(path: string, hasFocus: boolean) {
  const previous = useRef(hasFocus ? null : path);
  useEffect(() => {
    if (previous.current === path) return;
    previous.current = path;
    window.scrollTo(0, 0);
    focusOnPage();
  }, [path]);
}

/** A button that goes with what it did, such as one that finalizes, takes the focus with it. */
function useFocusKept() {
  useEffect(() => {
    let last: Node | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const isLost = () => last !== null && !last.isConnected && document.activeElement === document.body;
    const note = ({ target }: FocusEvent) => {
      last = target as Node;
    };
    const watch = new MutationObserver(() => {
      if (!isLost()) return;
      clearTimeout(timer);
      timer = setTimeout(() => isLost() && focusOnPage(), GIVEN_BACK_MS);
    });
    document.addEventListener("focusin", note);
    watch.observe(document.body, { childList: true, subtree: true });
    return () => {
      document.removeEventListener("focusin", note);
      watch.disconnect();
      clearTimeout(timer);
    };
  }, []);
}

function focusOnPage() {
  document.getElementById(PAGE)?.focus({ preventScroll: true });
}

import { useEffect, useRef } from "react";

/** The id of the element that contains the page. */
export const PAGE = "page";

/** Dialogs and menus restore the focus in the next frame; only after that is it known to be lost. */
const GIVEN_BACK_MS = 100;

/** Moves the focus to the page's top if the focused element disappears, for users of keyboards and screen readers. */
export function useFocus(path: string, hasFocus: boolean): void {
  useFocusOnArrival(path, hasFocus);
  useFocusKept();
}

/** Moves the focus to the top of a new page; on the first page only if it follows a form. */
function useFocusOnArrival(path: string, hasFocus: boolean) {
  const previous = useRef(hasFocus ? null : path);
  useEffect(() => {
    if (previous.current === path) return;
    previous.current = path;
    window.scrollTo(0, 0);
    focusOnPage();
  }, [path]);
}

/** A button that disappears after its action, such as Finalize, takes the focus with it. */
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

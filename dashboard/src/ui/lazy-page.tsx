import { type ComponentType, lazy } from "react";

type Module<Props> = { default: ComponentType<Props> };

/**
 * A page that is loaded when it is first shown, or before.
 *
 * React keeps the fallback of `lazy` up for 300 ms even when the page has been loaded by then: what was loaded before
 * is shown without it.
 */
export function page<Props extends object>(load: () => Promise<Module<Props>>) {
  let Loaded: ComponentType<Props> | undefined;
  const keep = async () => {
    const module = await load();
    Loaded = module.default;
    return module;
  };
  const Later = lazy(keep) as unknown as ComponentType<Props>;
  // biome-ignore lint/correctness/noComponentHookFactories: it is made once for each page, when the shell is loaded
  const Page = (props: Props) => (Loaded ? <Loaded {...props} /> : <Later {...props} />);
  return Object.assign(Page, { preload: () => void keep().catch(() => {}) });
}

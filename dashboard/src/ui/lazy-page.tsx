import { type ComponentType, lazy } from "react";

type Module<Props> = { default: ComponentType<Props> };

/**
 * A page that is loaded when it is first shown, or before.
 *
 * React shows the fallback of `lazy` for 300 ms even if the page is loaded earlier, so a page that was loaded before
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
  // biome-ignore lint/correctness/noComponentHookFactories: it is called once per page, when the shell is loaded
  const Page = (props: Props) => (Loaded ? <Loaded {...props} /> : <Later {...props} />);
  return Object.assign(Page, { preload: () => void keep().catch(() => {}) });
}

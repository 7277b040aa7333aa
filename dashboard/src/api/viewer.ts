import { createContext, useContext } from "react";
import { graphql, type ResultOf } from "./graphql";

export const ViewerQuery = graphql(`
  query Viewer {
    viewer {
      workspace { id name mode eventCursor }
      apiKey { id name preview scopes }
    }
  }
`);

export type Viewer = ResultOf<typeof ViewerQuery>["viewer"];
type Scope = "READ" | "WRITE" | "ADMIN";

export const ViewerContext = createContext<Viewer | null>(null);

export function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (!viewer) throw new Error("Sign in to see this.");
  return viewer;
}

/** Whether the key's scopes allow an action. The page hides other actions; the server refuses them anyway. */
export function useMay(scope: Scope): boolean {
  const { scopes } = useViewer().apiKey;
  const implied: Record<Scope, Scope[]> = {
    READ: ["READ", "WRITE", "ADMIN"],
    WRITE: ["WRITE", "ADMIN"],
    ADMIN: ["ADMIN"],
  };
  return implied[scope].some((each) => (scopes as Scope[]).includes(each));
}

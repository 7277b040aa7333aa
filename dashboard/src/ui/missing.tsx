import type { CombinedError } from "urql";
import { wordsOf } from "../api/client";
import { Alert, Empty, Loading } from "./feedback";
import { Page } from "./page";

interface Props {
  title: string;
  /** What is looked for, as in "no such invoice". */
  noun: string;
  back: { href: string; label: string };
  isAnswered: boolean;
  error: CombinedError | undefined;
}

/** The page of something that is not there: not yet, not at all, or nobody can say. */
export const Missing = ({ title, noun, back, isAnswered, error }: Props) => (
  <Page title={title} back={back}>
    {error && <Alert>{wordsOf(error)}</Alert>}
    {isAnswered ? <Empty title={`This workspace has no such ${noun}.`} /> : !error && <Loading />}
  </Page>
);

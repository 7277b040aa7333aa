import type { CombinedError } from "urql";
import { wordsOf } from "../api/client";
import { Alert, Empty, Loading } from "./feedback";
import { Page } from "./page";

interface Props {
  title: string;
  /** The kind of object, as in "no such invoice". */
  noun: string;
  back: { href: string; label: string };
  isAnswered: boolean;
  error: CombinedError | undefined;
}

/** The page of an object that isn't loaded yet, doesn't exist, or can't be fetched. */
export const Missing = ({ title, noun, back, isAnswered, error }: Props) => (
  <Page title={title} back={back}>
    {error && <Alert>{wordsOf(error)}</Alert>}
    {isAnswered ? <Empty title={`This workspace has no such ${noun}.`} /> : !error && <Loading />}
  </Page>
);

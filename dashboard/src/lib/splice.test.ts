import { expect, test } from "vitest";
import { type Page, splice } from "./splice";

const page = (ids: string, hasNextPage = false): Page<{ id: string }> => ({
  edges: [...ids].map((id) => ({ cursor: `after ${id}`, node: { id } })),
  hasNextPage,
});
const idsOf = ({ edges }: Page<{ id: string }>) => edges.map(({ node }) => node.id).join("");

test("what is new comes on top, and what is beyond the page stays", () => {
  const spliced = splice(page("edcba", true), 0, page("gfed", true));
  expect(idsOf(spliced)).toBe("gfedcba");
  expect(spliced.hasNextPage).toBe(true);
});

test("what has left the head of the list is gone", () => {
  expect(idsOf(splice(page("edcba"), 0, page("edb", true)))).toBe("edba");
});

test("the last page says what the end is", () => {
  const spliced = splice(page("edcba", true), 0, page("ed"));
  expect(idsOf(spliced)).toBe("ed");
  expect(spliced.hasNextPage).toBe(false);
});

test("when more came than a page holds the list goes on from its end", () => {
  const spliced = splice(page("cba"), 0, page("xyz", true));
  expect(idsOf(spliced)).toBe("xyz");
  expect(spliced.hasNextPage).toBe(true);
});

test("a page in the middle leaves what is before it", () => {
  expect(idsOf(splice(page("fedcba"), 2, page("dc", true)))).toBe("fedcba");
  expect(idsOf(splice(page("fedcba"), 2, page("cb", true)))).toBe("fecba");
});

test("the next page is added at the end", () => {
  const spliced = splice(page("fed", true), 3, page("cba"));
  expect(idsOf(spliced)).toBe("fedcba");
  expect(spliced.hasNextPage).toBe(false);
});

test("a row that has moved is there once", () => {
  expect(idsOf(splice(page("fed", true), 3, page("fcb")))).toBe("edfcb");
});

import { Page } from "../ui/page";
export default function Attention() {
  return <Page title="Needs attention"> </Page>;
}

import { Page } from "../ui/page";
export default function Overview() {
  return <Page title="Overview"> </Page>;
}

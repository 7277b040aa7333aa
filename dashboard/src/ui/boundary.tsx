import { Component, type ReactNode } from "react";
import { Button } from "./button";
import { Alert } from "./feedback";

/** Shows an error if a page can't be loaded, such as a page of a version that the server no longer has. */
export class Boundary extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <div className="page">
        <Alert>This page could not be loaded: the server can't be reached, or was updated meanwhile.</Alert>
        <div className="actions">
          <Button onPress={() => location.reload()}>Reload the page</Button>
        </div>
      </div>
    );
  }
}

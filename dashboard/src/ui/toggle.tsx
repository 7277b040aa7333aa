import { Switch } from "react-aria-components";

interface Props {
  label: string;
  isOn: boolean;
  onTurn: (on: boolean) => void;
  isDisabled?: boolean;
}

/** A switch that shows the server's state, not the last click. */
export function Toggle({ label, isOn, onTurn, isDisabled = false }: Props) {
  return (
    <Switch className="toggle" isSelected={isOn} onChange={onTurn} isDisabled={isDisabled}>
      <span className="toggle-track" aria-hidden="true">
        <span className="toggle-thumb" />
      </span>
      {label}
    </Switch>
  );
}

import "graphiql/style.css";
import "./styles/graphiql.css";
import { DOC_EXPLORER_PLUGIN, DocExplorerContextProvider } from "@graphiql/plugin-doc-explorer";
import { GraphiQLProvider } from "@graphiql/react";
import { GraphiQL, GraphiQLInterface } from "graphiql";
import { createRoot } from "react-dom/client";
import { fetcher } from "./api/fetcher";

const BEGINNING = `# Queries here use the API key that you signed in with at /
#
# To use another API key, enter it under Headers:
# {"Authorization": "Bearer flx_test_…"}
# Then press "Re-fetch GraphQL schema", bottom left.
#
# This tab keeps what you write until you close it,
# and headers until you leave this page.

query Invoices {
  invoices(first: 10) {
    nodes {
      id
      number
      status
      amountRemaining { amount currency }
    }
  }
}

subscription Follow {
  events { cursor type occurredAt }
}
`;

/** GraphiQL without its history, which would store headers, and API keys with them, for ever. */
function Page() {
  return (
    <GraphiQLProvider
      fetcher={fetcher}
      defaultQuery={BEGINNING}
      plugins={[DOC_EXPLORER_PLUGIN]}
      referencePlugin={DOC_EXPLORER_PLUGIN}
      shouldPersistHeaders={false}
      storage={sessionStorage}
    >
      <DocExplorerContextProvider>
        <GraphiQLInterface showPersistHeadersSettings={false} defaultEditorToolsVisibility="headers">
          <GraphiQL.Logo>
            <a href="/">Fluxrate</a>
          </GraphiQL.Logo>
        </GraphiQLInterface>
      </DocExplorerContextProvider>
    </GraphiQLProvider>
  );
}

const root = document.getElementById("graphiql");
if (root) createRoot(root).render(<Page />);

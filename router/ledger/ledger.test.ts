import { systemClock } from "#kernel";
import { openEmbeddedStore } from "#state";
import { describeLedger } from "./testing/ledger-suite.ts";

describeLedger("the embedded store", () => openEmbeddedStore(":memory:", { clock: systemClock }));

import { MemoryTimelines } from "./memory-timelines.ts";
import { timelineStoreContract } from "./timeline-store.contract.ts";

timelineStoreContract(async () => new MemoryTimelines());

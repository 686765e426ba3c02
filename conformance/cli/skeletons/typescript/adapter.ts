// An adapter: turns lines on the standard input into calls of a client, and writes back what the client said.
//
// The lines are described in the chapter "Adapter" of the specification. Fill in the methods of `Device`, one after
// another; after `npm install` and `npm run build`,
//
//     fieldsync adapter try --command 'node dist/adapter.js'
//
// says which one is next. Some members of the lines are only for clients that claim more in `hello`: `triggers` and
// `telemetry` of `open`, `group` of `create`, the verb `attach`, `online`, `metered` and `damage` of `set`. The chapter
// names the capability of each. Then judge the client:
//
//     fieldsync check client --command 'node dist/adapter.js'

import { createInterface } from "node:readline";

type Json = Record<string, unknown>;
type RecordRef = { type: string; id: string };
type Credentials = { token?: string; user?: string; password?: string };
type Cause = "network" | "server" | "credentials";
type SyncEnd = { outcome: "ok" } | { outcome: "failed"; cause: Cause; detail: string };
type Status = "pending" | "syncing" | "synced" | { error: Cause | "rejected" };
type Shown = { record: RecordRef; data: Json | null; deleted?: boolean; status: Status | null; server: Json | null };
type Reading = {
  replica: string;
  records: Shown[];
  conflicts: { id: string; entry: Json }[];
  outbox: RecordRef[];
  quarantine: { record: RecordRef; code: string }[];
};
type Open = {
  base_url: string;
  credentials: Credentials;
  /** The path of a folder to keep everything in and to go on from, or null (memory will do). */
  store: string | null;
  /** How far the device's clock is ahead. */
  offset_ms?: number;
  /** The limit of a pull. */
  page?: number;
  /** The most mutations of a push. */
  batch?: number;
  /** The replica id with which a new store begins. */
  replica?: string;
};

function missing(what: string): never {
  throw new Error(`not written yet: ${what}`);
}

/** One device. Replace what is below by calls of your client. */
class Device {
  static async open(_setup: Open): Promise<Device> {
    return missing("open: start your client here");
  }
  async create(_record: RecordRef, _data: Json): Promise<void> {
    missing("create: make the record, and store it before you return");
  }
  async edit(_record: RecordRef, _changes: Json): Promise<void> {
    missing("edit: set the members of `changes`; null clears one");
  }
  async discard(_record: RecordRef): Promise<void> {
    missing("edit with discard: give up the unsent and refused work on the record");
  }
  async delete(_record: RecordRef): Promise<void> {
    missing("delete: delete the record");
  }
  async sync(): Promise<SyncEnd> {
    return missing("sync: run one sync, and tell how it ended");
  }
  async read(_records: RecordRef[]): Promise<Reading> {
    return missing("read: tell what the device shows");
  }
  async set(_offsetMs?: number, _credentials?: Credentials): Promise<void> {
    missing("set: move the device's clock, or log somebody in; what is undefined stays as it is");
  }
  async close(): Promise<void> {
    missing("close: end the device in good order");
  }
}

const devices = new Map<string, Device>();

type Request = { id: number; verb: string; device: string; record: RecordRef; records: RecordRef[] } & Open & {
    data: Json;
    changes?: Json;
    discard?: boolean;
  };

// profiles: version-wins, field-merge, entity-queue. capabilities: what else the client can do, such as concurrent (it is
// used while it syncs), password-login, groups, attachments-proxied, triggers, telemetry. Only what is claimed is judged.
const verbs: Record<string, (request: Request) => Promise<object | void>> = {
  hello: async () => ({ name: "my client", version: "0.1.0", profiles: ["version-wins"], capabilities: [] }),
  open: async (request) => void devices.set(request.device, await Device.open(request)),
  create: (request) => of(request).create(request.record, request.data),
  edit: (request) =>
    request.discard ? of(request).discard(request.record) : of(request).edit(request.record, request.changes ?? {}),
  delete: (request) => of(request).delete(request.record),
  sync: (request) => of(request).sync(),
  read: (request) => of(request).read(request.records),
  set: (request) => of(request).set(request.offset_ms, request.credentials),
  close: async (request) => {
    const device = of(request);
    devices.delete(request.device);
    await device.close();
  },
};

class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

function of(request: Request): Device {
  const device = devices.get(request.device);
  if (!device) throw new Refused("unknown-device", `there is no open device "${request.device}"`);
  return device;
}

async function answer(request: Request): Promise<void> {
  let line: object;
  try {
    const verb = verbs[request.verb];
    if (!verb) throw new Refused("unknown-verb", `there is no verb "${request.verb}"`);
    line = { id: request.id, ok: (await verb(request)) ?? {} };
  } catch (error) {
    const code = error instanceof Refused ? error.code : "failed";
    line = { id: request.id ?? 0, error: { code, message: String((error as Error).message ?? error) } };
  }
  // A line is ASCII.
  const text = JSON.stringify(line).replace(
    /[\u0080-\uffff]/g,
    (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"),
  );
  process.stdout.write(text + "\n");
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request;
  const answered = answer(request);
  // A sync takes its time; other lines are answered meanwhile.
  if (request.verb !== "sync") await answered;
}

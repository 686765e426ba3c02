// A public client of tus uploads a file to a slot, is broken off, goes on, and the file is what it was.
//
// node upload.mjs BASE_URL USER, with the password in FIELDSYNC_PASSWORD.

import assert from "node:assert";
import { createHash, randomBytes } from "node:crypto";
import { Upload } from "tus-js-client";

const [base, user] = process.argv.slice(2);
const headers = { "fieldsync-version": "2026-12-01", "content-type": "application/json" };

async function ask(path, body) {
  const answer = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
  const told = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(told));
  return told;
}

const login = await ask("/login", { user, password: process.env.FIELDSYNC_PASSWORD });
headers.authorization = `Bearer ${login.access_token}`;

const file = randomBytes(90_000);
const id = `sha256:${createHash("sha256").update(file).digest("hex")}`;
const slot = await ask("/attachments", { type: "scan", id, bytes: file.length, media_type: "image/jpeg" });
assert.equal(slot.have, false);

/** Uploads until the end, or until this many bytes are there. */
function upload(until) {
  return new Promise((resolve, reject) => {
    const going = new Upload(file, {
      uploadUrl: new URL(slot.upload.url, base).href,
      headers: { authorization: headers.authorization },
      chunkSize: 30_000,
      retryDelays: [],
      onError: reject,
      onSuccess: () => resolve(file.length),
      onChunkComplete: (_, sent) => sent >= until && going.abort().then(() => resolve(sent), reject),
    });
    going.start();
  });
}

assert.equal(await upload(30_000), 30_000);
assert.equal(await upload(Infinity), file.length);
const stored = await ask("/attachments/complete", { id, upload: slot.upload.id });
assert.deepEqual([stored.id, stored.state], [id, "stored"]);

const download = await fetch(new URL(stored.url, base), { headers });
assert.ok(file.equals(Buffer.from(await download.arrayBuffer())), "the file came back changed");
console.log(`tus-js-client uploaded ${file.length} bytes in two goes`);

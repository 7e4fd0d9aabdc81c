// Against a hub whose engine is scripted; apps/inference/tests/test_node_client.py has the script.

import assert from "node:assert/strict";
import { test } from "node:test";

import { APIConnectionTimeoutError, APIError, InternalServerError, RateLimitError } from "openai";

import { client, MODEL, QUESTION } from "./hub.js";

const ASKED = { model: MODEL, messages: QUESTION };

test("a full queue is a typed error with its time to wait", async () => {
  await assert.rejects(client().chat.completions.create(ASKED), (error) => {
    assert.ok(error instanceof RateLimitError);
    assert.equal(error.code, "queue_full");
    assert.equal(error.headers.get("retry-after"), "1");
    return true;
  });
});

test("a client that may waits and tries again", async () => {
  const patient = client({ maxRetries: 2 });

  const completion = await patient.chat.completions.create(ASKED);

  assert.equal(completion.choices[0].message.content, "Hello world");
});

test("a failing engine is a server error", async () => {
  await assert.rejects(client().chat.completions.create(ASKED), InternalServerError);
});

test("a time-out ends the work", async () => {
  await assert.rejects(
    client().chat.completions.create(ASKED, { timeout: 300 }),
    APIConnectionTimeoutError,
  );
});

test("an error in mid-stream is raised", async () => {
  const stream = await client().chat.completions.create({ ...ASKED, stream: true });

  const pieces = [];
  await assert.rejects(async () => {
    for await (const chunk of stream) pieces.push(chunk.choices[0].delta.content);
  }, APIError);
  assert.ok(pieces.includes("Par"));
});

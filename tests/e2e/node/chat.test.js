import assert from "node:assert/strict";
import { test } from "node:test";

import { client, GREEDY, MODEL, QUESTION } from "./hub.js";

const openai = client();

test("a chat is answered", async () => {
  const completion = await openai.chat.completions.create({ ...GREEDY, messages: QUESTION });

  assert.match(completion.choices[0].message.content, /Paris/);
  assert.equal(completion.choices[0].finish_reason, "stop");
  assert.equal(
    completion.usage.total_tokens,
    completion.usage.prompt_tokens + completion.usage.completion_tokens,
  );
});

test("a chat streams, and its usage comes last", async () => {
  const stream = await openai.chat.completions.create({
    ...GREEDY,
    messages: QUESTION,
    stream: true,
    stream_options: { include_usage: true },
  });

  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);

  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  assert.match(text, /Paris/);
  assert.ok(chunks.length > 4);
  assert.ok(chunks.at(-1).usage.completion_tokens > 1);
});

test("the stream helper assembles the answer", async () => {
  const pieces = [];
  const stream = openai.chat.completions
    .stream({ ...GREEDY, messages: QUESTION })
    .on("content", (piece) => pieces.push(piece));

  assert.equal(await stream.finalContent(), pieces.join(""));
});

test("log probabilities are told", async () => {
  const completion = await openai.chat.completions.create({
    ...GREEDY,
    messages: QUESTION,
    max_tokens: 3,
    logprobs: true,
    top_logprobs: 2,
  });

  const tokens = completion.choices[0].logprobs.content;
  assert.equal(tokens.length, 3);
  assert.equal(tokens[0].top_logprobs.length, 2);
});

test("a text goes on, and streams", async () => {
  const asked = { ...GREEDY, prompt: "The capital of France is", max_tokens: 6 };
  const whole = await openai.completions.create(asked);
  assert.match(whole.choices[0].text, /Paris/);

  let text = "";
  for await (const chunk of await openai.completions.create({ ...asked, stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  assert.equal(text, whole.choices[0].text);
});

test("the models are listed", async () => {
  const ids = [];
  for await (const model of openai.models.list()) ids.push(model.id);

  assert.ok(ids.includes(MODEL));
  assert.equal((await openai.models.retrieve(MODEL)).id, MODEL);
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { client, EMBEDDER } from "./hub.js";

const openai = client();
const TEXTS = ["A cat sleeps on the sofa.", "A kitten naps on the couch.", "Shares fell sharply."];

const product = (one, other) => one.reduce((sum, value, place) => sum + value * other[place], 0);

test("vectors of like meanings are alike", async () => {
  const answer = await openai.embeddings.create({ model: EMBEDDER, input: TEXTS }); // as base64

  const [cat, kitten, shares] = answer.data.map((each) => each.embedding);
  assert.ok(product(cat, kitten) > 0.6);
  assert.ok(product(cat, shares) < 0.3);
  assert.ok(answer.usage.prompt_tokens > 15);
});

test("vectors as numbers are those of base64", async () => {
  const [numbers, base64] = await Promise.all(
    ["float", "base64"].map((format) =>
      openai.embeddings.create({ model: EMBEDDER, input: TEXTS[0], encoding_format: format }),
    ),
  );

  const bytes = Buffer.from(base64.data[0].embedding, "base64");
  numbers.data[0].embedding.forEach((value, place) => {
    assert.ok(Math.abs(value - bytes.readFloatLE(4 * place)) < 1e-5);
  });
});

test("vectors are cut to the dimensions that are asked for", async () => {
  const answer = await openai.embeddings.create({ model: EMBEDDER, input: "Hello", dimensions: 64 });

  assert.equal(answer.data[0].embedding.length, 64);
});

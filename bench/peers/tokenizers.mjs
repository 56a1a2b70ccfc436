// Encodes with the Hugging Face Rust core, for the tokenizer benchmark, which starts it and takes turns with it.
//
//     node tokenizers.mjs NODE_MODULES RECORDS.json
//
// RECORDS.json is an array of texts. Each line of input is the path of a tokenizer.json; the answer is one line:
// {"seconds", "tokens", "hashes"}, or what went wrong. Seconds are processor time of the whole process inside encode()
// alone: turning the ids into an array of JavaScript is left out, to the peer's advantage.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, recordsFile] = process.argv.slice(2);
const { Tokenizer } = createRequire(modules + "/")("tokenizers");
const records = JSON.parse(readFileSync(recordsFile, "utf8"));

// FNV-1a over the ids, as TokenizerPass.cs has it.
function hash(ids) {
  let value = 2166136261 | 0;
  for (const id of ids) value = Math.imul(value ^ id, 16777619);
  return value;
}

async function pass(file) {
  const tokenizer = Tokenizer.fromFile(file);
  let microseconds = 0, tokens = 0;
  const hashes = [];
  for (const record of records) {
    const before = process.cpuUsage();
    const encoding = await tokenizer.encode(record, null, { addSpecialTokens: false });
    const used = process.cpuUsage(before);
    microseconds += used.user + used.system;
    const ids = encoding.getIds();
    tokens += ids.length;
    hashes.push(hash(ids));
  }
  return { seconds: microseconds / 1e6, tokens, hashes };
}

for await (const file of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await pass(file)));
  } catch (error) {
    console.log(`peer: ${String(error.message ?? error).replaceAll("\n", " ")}`);
  }
}

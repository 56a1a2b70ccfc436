#!/usr/bin/env node
// Writes core-ids.json, the ids that the Rust core gives: npm package tokenizers 0.23.2, looked for from the working
// directory. The model has each byte twice, as the first of a piece (id 0-255) and as a later one (256-511), and no
// merges: every cut shows. Added tokens are numbered from 512.
import { createRequire } from "module";
import { writeFileSync } from "fs";
import { pathToFileURL } from "url";

const { Tokenizer } = createRequire(pathToFileURL(`${process.cwd()}/`))("tokenizers");

const vocab = {};
for (let value = 0, next = 256; value < 256; value++) {
    const printable = (value > 32 && value < 127) || (value > 160 && value !== 173);
    const character = String.fromCodePoint(printable ? value : next++);
    vocab[character] = value;
    vocab["##" + character] = 256 + value;
}
const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
const split = (Regex, behavior = "Isolated", invert = false) => ({
    type: "Split",
    pattern: { Regex },
    behavior,
    invert,
});
const literal = String => ({ type: "Split", pattern: { String }, behavior: "Isolated", invert: false });
const template = (before, after) => ({
    type: "TemplateProcessing",
    single: [...before, { Sequence: { id: "A", type_id: 0 } }, ...after],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 0 } }],
    special_tokens: { B: { id: "B", ids: [1, 2], tokens: ["a", "b"] } },
});
const special = { SpecialToken: { id: "B", type_id: 0 } };
const added = (content, options = {}) => ({
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: false,
    ...options,
});

const words = [
    "a  \n  b",
    "ab1 ",
    "12! x_y-z",
    "it's IT'S 12a!!\n\nx",
    "a²½Ⅷ٣ \u{11DE0}\u{11DE1}",
    "é e\u0301\u200Dx\u200C",
    "漢字かなカナ 한국",
    "\u{10400}b \u{10428}\u{1D4B3}\u{1F600}\u{1F64F}\u{E0100}",
    "ß ẞ ss SS ſS ŉ ʼN",
    "ﬀﬃ ffi K\u212Ak",
    "\u00A0\u3000\u2028\u0085\u200B\uFEFF|",
    "\r\n\r\n\n \t",
    "{a}[b]$^\\",
    "",
];
const expressions = [
    "^\\s+|\\s+$|.",
    "\\A.|.\\z|.\\Z",
    "[[:alpha:]]+|[[:digit:]]+|[[:space:]]+|[[:punct:]]+",
    "[[:^alnum:]]",
    "\\w+|[^\\w\\s]+|\\s+",
    "[\\w]+",
    "\\b",
    "\\B",
    "\\h+",
    "\\H",
    "\\R",
    "\\N+",
    "\\O",
    "(?m:.+)",
    ".+",
    "\\s?[A-Za-z𐐀-𐑏]+",
    "[一-龥ࠀ-一가-퟿]+",
    "[😀-🙏]+",
    "[^😀]",
    "😀?",
    "\\x{1F600}",
    "(?i)\\x{10428}",
    "(?i)ss",
    "(?i)ß",
    "(?i)[ß]",
    "(?i)[^ß]",
    "(?i:ʼn)",
    "(?i)k",
    "(?i)[K-T]+",
    "(?i:ffi)",
    "(?i:'s|'t)",
    "(?i)(?:s)s",
    "(?i)s+s",
    "a(?i)B|c",
    "(?<=(?i:ss))",
    "\\p{Han}+",
    "\\p{^L}+",
    "\\P{Lu}+",
    "\\p{Greek}|\\p{In_Hiragana}|\\p{emoji presentation}",
    "[\\p{L}&&[^a-z]]+",
    "[\\p{L}&&\\p{^Han}&&[^b]]",
    "[[a-c][x-z]]+",
    "[]a]",
    "[^]a]+",
    "[a-c-e]+",
    "[\\w-]+",
    "[&&a]",
    "\\s++\\S",
    "a?+a",
    "\\w*+\\w",
    "\\w{2}+",
    "\\w{1,2}+x",
    "\\w{3,1}",
    "(?:\\w{3,1})+s",
    "\\w{2}?",
    "\\w{,2}",
    "{a}",
    "x{",
    "(?>a|ab)1",
    "(?<=a)\\s+",
    "(?<!\\s)\\s",
    "(?<=^|s)[sS]",
    "\\s+(?!\\S)",
    "(?=\\d)",
    "(?x: a b # c\n | \\ )",
    "(?#a)b",
    "(?<n>a)|(b)",
    "",
    "a|",
    "\\061|\\0",
    "\\e|\\a|\\u00e9",
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*" +
        "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*" +
        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s)?",
];
const behaviors = ["Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"];
const cases = [
    ...expressions.map(expression => ({ name: `expression ${expression}`, pre: [split(expression)], texts: words })),
    ...behaviors.flatMap(behavior =>
        [false, true].map(invert => ({
            name: `behavior ${behavior} ${invert}`,
            pre: [split("\\d*", behavior, invert)],
            texts: ["12 3a", "", "a1"],
        })),
    ),
    ...["", "ss", ".", "😀"].map(text => ({ name: `literal ${text}`, pre: [literal(text)], texts: words })),
    ...behaviors.map(behavior => ({
        name: `Punctuation ${behavior}`,
        pre: [{ type: "Punctuation", behavior }],
        texts: ["a,b!! $+«x»、\u{2E43}\u{11660}\u166D", ...words],
    })),
    ...["BertPreTokenizer", "Whitespace", "WhitespaceSplit"].map(type => ({
        name: type,
        pre: [{ type }],
        texts: words,
    })),
    ...[true, false].map(individual_digits => ({
        name: `Digits ${individual_digits}`,
        pre: [{ type: "Digits", individual_digits }],
        texts: words,
    })),
    { name: "CharDelimiterSplit", pre: [{ type: "CharDelimiterSplit", delimiter: "s" }], texts: words },
    { name: "FixedLength", pre: [{ type: "FixedLength", length: 3 }], texts: words },
    ...["always", "never", "first"].flatMap(prepend_scheme =>
        [true, false].map(cut => ({
            name: `Metaspace ${prepend_scheme} ${cut}`,
            pre: [{ type: "WhitespaceSplit" }, { type: "Metaspace", replacement: "_", prepend_scheme, split: cut }],
            added: [added("b")],
            texts: ["a ab", " a", "ba", "_a"],
        })),
    ),
    {
        name: "Falcon",
        pre: [
            { type: "Punctuation", behavior: "Contiguous" },
            { ...bytes, use_regex: true },
            { type: "Digits", individual_digits: false },
            split("[0-9][0-9][0-9]"),
        ],
        texts: ["a,b!! c...d 1234"],
    },
    {
        name: "DeepSeek Coder",
        pre: [
            split("[\r\n]"),
            split("\\s?\\p{L}+"),
            split("\\s?\\p{P}+"),
            split("[一-龥ࠀ-一가-퟿]+"),
            { type: "Digits", individual_digits: true },
        ],
        texts: ["\u{1D6C1}中", "中\u{10105}中", "\u{1692E}\u0301", "a\u{E0100}中"],
    },
    ...["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"].map(type => ({
        name: type,
        normalizer: { type },
        texts: [
            "a\u1A79\u{10F4D}",
            "a\u0898\u0323",
            "\u{11935}\u{11930}",
            "ABC ÀÉ ẞ İ Σ",
            "ﬁ①Ａａ\u0301㍿",
            "\u0001\u200B\t\u2581\uFFFD",
            ...words,
        ],
    })),
    ...[
        [true, true],
        [true, false],
        [false, true],
    ].map(([strip_left, strip_right]) => ({
        name: `Strip ${strip_left} ${strip_right}`,
        normalizer: { type: "Strip", strip_left, strip_right },
        texts: words,
    })),
    ...[null, true, false].flatMap(strip_accents =>
        [true, false].map(lowercase => ({
            name: `BertNormalizer ${strip_accents} ${lowercase}`,
            normalizer: {
                type: "BertNormalizer",
                clean_text: true,
                handle_chinese_chars: true,
                strip_accents,
                lowercase,
            },
            texts: ["É\u0000\u00AD\uE000漢x\u{1E900}\u08D4\u08E2", ...words],
        })),
    ),
    {
        name: "Replace and Prepend",
        normalizer: {
            type: "Sequence",
            normalizers: [
                { type: "Prepend", prepend: "▁" },
                { type: "Replace", pattern: { Regex: "\\s+|s(?=s)" }, content: "__" },
                { type: "ByteLevel" },
            ],
        },
        pre: [],
        texts: words,
    },
    { name: "BertProcessing", post: { type: "BertProcessing", sep: ["x", 2], cls: ["y", 1] }, texts: ["ab"] },
    {
        name: "RobertaProcessing",
        post: { type: "RobertaProcessing", sep: ["x", 2], cls: ["y", 1], trim_offsets: true, add_prefix_space: true },
        texts: [" ab"],
    },
    { name: "TemplateProcessing", post: template([special], [special, special]), texts: ["ab", ""] },
    {
        name: "processors in turn",
        texts: ["ab"],
        post: {
            type: "Sequence",
            processors: [bytes, { type: "BertProcessing", sep: ["x", 2], cls: ["y", 1] }, template([special], [])],
        },
    },
    {
        name: "added tokens of one word",
        added: [added("cat", { single_word: true }), added("!", { single_word: true, normalized: true })],
        texts: [
            "cat cats",
            "é cat\u200D",
            "\u200Ccat",
            "cat\u0301",
            "²cat",
            "_cat",
            "Ⅷcat",
            "cat!",
            "a!b",
            "!",
            "\u{1E900}cat",
            "cat½",
        ],
    },
    {
        name: "added tokens with white space",
        texts: ["x  <l> y", "x <r> \n y", "<r>  <l>", "<r>\u3000  x", "\u200B<l>", "    <r>    <r>  "],
        added: [added("<l>", { lstrip: true }), added("<r>", { rstrip: true }), added("  ")],
    },
    {
        name: "normalized added tokens",
        normalizer: { type: "Lowercase" },
        added: [added("ABC", { normalized: true }), added("ABD"), added("abca", { normalized: true, special: true })],
        texts: ["abc ABC ABD abd", "ABCA abca ABCABD"],
    },
    ...[
        { type: "WordPiece", prefix: "##", cleanup: true },
        { type: "WordPiece", prefix: "##", cleanup: false },
        { type: "CTC", pad_token: "a", word_delimiter_token: "##l", cleanup: true },
        { type: "CTC", pad_token: "##l", word_delimiter_token: "t", cleanup: false },
        { type: "BPEDecoder", suffix: "##" },
        { type: "Metaspace", replacement: "l", prepend_scheme: "always", split: true },
        {
            type: "Sequence",
            decoders: [
                { type: "Replace", pattern: { Regex: "#+|l*" }, content: "_" },
                { type: "Fuse" },
                { type: "Strip", content: "_", start: 2, stop: 1 },
            ],
        },
        null,
    ].map((decoder, index) => ({
        name: `decoder ${index} ${decoder?.type}`,
        decoder,
        pre: [{ type: "WhitespaceSplit" }],
        texts: ["all ' s tall . aa", "don 't", "lll"],
    })),
    {
        name: "normalized added tokens are decoded as they are looked for",
        decoder: bytes,
        normalizer: { type: "Lowercase" },
        added: [added("ABC", { normalized: true, special: true }), added("abd", { special: true })],
        texts: ["abc abd ABC"],
    },
    ...[
        [true, true],
        [true, false],
        [false, false],
    ].map(([fuse_unk, byte_fallback]) => ({
        name: `unknown characters ${fuse_unk} ${byte_fallback}`,
        pre: null,
        texts: ["xyéab", "éx", "xéyb", "axyz", "é", "ab"],
        model: {
            type: "BPE",
            unk_token: "?",
            fuse_unk,
            byte_fallback,
            continuing_subword_prefix: "+",
            end_of_word_suffix: "<",
            vocab: {
                "?": 0,
                "<0xC3>": 1,
                "<0xA9>": 2,
                "<0x2B>": 3,
                a: 4,
                "+b": 5,
                "+b<": 6,
                "ab<": 7,
                "+a": 8,
                "+ab<": 9,
                "<0x3C>": 10,
            },
            merges: [
                ["a", "+b<"],
                ["+a", "+b<"],
            ],
        },
    })),
];

const results = [];
for (const { name, normalizer = null, pre = [], post = null, added: tokens = [], texts, ...more } of cases) {
    const parts = {
        added_tokens: tokens.map((token, index) => ({ id: vocab[token.content] ?? 512 + index, ...token })),
        normalizer,
        pre_tokenizer: pre && {
            type: "Sequence",
            pretokenizers: normalizer?.normalizers?.at(-1).type === "ByteLevel" ? pre : [...pre, bytes],
        },
        post_processor: post,
        decoder: more.decoder ?? ("decoder" in more ? null : bytes),
    };
    const model = more.model ?? { type: "BPE", continuing_subword_prefix: "##", vocab, merges: [] };
    try {
        const tokenizer = Tokenizer.fromString(JSON.stringify({ version: "1.0", ...parts, model }));
        const ids = [];
        for (const text of texts) {
            ids.push((await tokenizer.encode(text)).getIds());
        }
        const result = { name, parts: more.model ? { ...parts, model } : parts, texts, ids };
        if ("decoder" in more) {
            result.decoded = await Promise.all(ids.map(some => tokenizer.decode(some, true)));
        }
        results.push(result);
    } catch (error) {
        console.log(`${name}: ${error}`);
    }
}
writeFileSync(
    new URL("core-ids.json", import.meta.url),
    `[\n${results.map(result => JSON.stringify(result)).join(",\n")}\n]\n`,
);
console.log(`${results.length} cases`);

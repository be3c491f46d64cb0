"use strict";
// Checks a signed record or a look-up's proof here, in this browser: the file is read and goes nowhere.
(() => {
  const FILE_BYTES_MAX = 20000000;
  const CONTEXTS = { receipt: "steward-receipt-v1\0", erasure: "steward-erasure-v1\0", incident: "steward-incident-v1\0" };
  const PROOF = "steward-look-proof-1";
  const ROW = ["at_s", "fields", "guest", "logged_s", "outlet", "outlet_kind", "purpose", "role", "seq", "way"];
  const utf8 = new TextEncoder();

  class Fault extends Error {}
  const need = (holds, code) => {
    if (!holds) throw new Fault(code);
  };

  // bytes

  const joined = (...parts) => {
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  };
  const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
  const hexed = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const unhexed = (text, size) => {
    need(typeof text === "string" && text.length === 2 * size && /^[0-9a-f]*$/.test(text), "bent");
    return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
  };
  const unbase64 = (text, size) => {
    need(typeof text === "string" && text.length < 20000 && /^[A-Za-z0-9+/]*={0,2}$/.test(text), "bent");
    let raw;
    try {
      raw = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    } catch {
      throw new Fault("bent");
    }
    need(btoa(String.fromCharCode(...raw)) === text && (size === null || raw.length === size), "bent");
    return raw;
  };
  const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
  const fingerprint = async (key) => hexed(await sha256(key)).match(/.{4}/g).join(" ");
  const signedBy = async (key, signature, message) => {
    const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", imported, signature, message);
  };

  // shapes

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const hasExactly = (value, names) => isObject(value) && Object.keys(value).sort().join() === [...names].sort().join();
  // RFC 8785: names in the order of their UTF-16, and what JSON.stringify makes of strings and whole numbers.
  const canonical = (value) => {
    if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
    if (isObject(value)) {
      const names = Object.keys(value).sort();
      return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
    }
    need(typeof value !== "number" || (Number.isSafeInteger(value) && !Object.is(value, -0)), "bent");
    return JSON.stringify(value);
  };

  // signed records

  const checkRecord = async (record) => {
    need(hasExactly(record, ["kind", "body", "signature"]) && isObject(record.body), "unknown");
    need(Object.hasOwn(CONTEXTS, record.kind), "unknown");
    const mark = record.signature;
    need(hasExactly(mark, ["algorithm", "key_version", "key", "fingerprint", "value"]) && mark.algorithm === "Ed25519", "bent");
    need(Number.isInteger(mark.key_version) && mark.key_version > 0 && mark.key_version < 256, "bent");
    const key = unhexed(mark.key, 32);
    const print = await fingerprint(key);
    need(mark.fingerprint === print, "bent");
    const message = utf8.encode(CONTEXTS[record.kind] + canonical(record.body));
    need(await signedBy(key, unhexed(mark.value, 64), message), "unsigned");
    return { kind: record.kind, prints: [print], witnessed: null, body: record.body };
  };

  // proofs of look-ups: a row, up a Merkle tree (RFC 6962) to a root that a signed note names

  const cborHead = (major, n) => {
    need(Number.isSafeInteger(n) && n >= 0, "bent");
    if (n < 24) return Uint8Array.of((major << 5) | n);
    for (const [size, mark] of [[1, 24], [2, 25], [4, 26], [8, 27]]) {
      if (size === 8 || n < 2 ** (8 * size)) {
        const head = new Uint8Array(1 + size);
        head[0] = (major << 5) | mark;
        for (let at = size, rest = n; at > 0; at -= 1, rest = Math.floor(rest / 256)) head[at] = rest % 256;
        return head;
      }
    }
    throw new Fault("bent");
  };
  const cbor = (value) => {
    if (typeof value === "number") return cborHead(0, value);
    if (value instanceof Uint8Array) return joined(cborHead(2, value.length), value);
    if (Array.isArray(value)) return joined(cborHead(4, value.length), ...value.map(cbor));
    need(typeof value === "string", "bent");
    const text = utf8.encode(value);
    return joined(cborHead(3, text.length), text);
  };
  const node = (left, right) => sha256(Uint8Array.of(1), left, right);
  // RFC 9162, 2.1.3.2.
  const rootOf = async (leaf, index, size, path) => {
    let at = BigInt(index);
    let last = BigInt(size) - 1n;
    need(at >= 0n && at <= last, "not_in_log");
    let hash = leaf;
    for (const next of path) {
      need(last !== 0n, "not_in_log");
      if (at & 1n || at === last) {
        hash = await node(next, hash);
        while (!(at & 1n) && at !== 0n) {
          at >>= 1n;
          last >>= 1n;
        }
      } else {
        hash = await node(hash, next);
      }
      at >>= 1n;
      last >>= 1n;
    }
    need(last === 0n, "not_in_log");
    return hash;
  };
  const readNote = (note) => {
    need(typeof note === "string" && note.length < 8192 && note.endsWith("\n"), "bent");
    const cut = note.lastIndexOf("\n\n");
    need(cut > 0, "bent");
    const text = note.slice(0, cut + 1);
    const lines = note.slice(cut + 2, -1).split("\n").map((line) => {
      const parts = line.split(" ");
      need(parts.length === 3 && parts[0] === "—", "bent");
      return { name: parts[1], raw: unbase64(parts[2], null) };
    });
    const [origin, size, root, end] = text.split("\n");
    need(text.split("\n").length === 4 && end === "" && /^(0|[1-9][0-9]{0,18})$/.test(size), "bent");
    return { text, lines, origin, size, root: unbase64(root, 32) };
  };
  const linesOf = async (note, key, mark) => {
    const id = (await sha256(utf8.encode(`${key.name}\n`), Uint8Array.of(mark), key.public)).slice(0, 4);
    return note.lines.filter((line) => line.name === key.name && same(line.raw.slice(0, 4), id)).map((line) => line.raw.slice(4));
  };
  const checkProof = async (proof) => {
    need(hasExactly(proof, ["schema", "row", "closed", "salt", "path", "checkpoint", "keys", "witness"]), "bent");
    const row = proof.row;
    need(hasExactly(row, isObject(row) && "gateway" in row ? [...ROW, "gateway"] : ROW) && Array.isArray(row.fields) && row.fields.every((each) => typeof each === "string"), "bent");
    need(Array.isArray(proof.path) && proof.path.length < 63 && Array.isArray(proof.keys), "bent");
    need(proof.keys.length > 0 && proof.keys.length < 5, "unsigned");
    const words = [row.seq, row.at_s, row.role, row.outlet, row.outlet_kind, row.purpose, row.guest, row.fields, row.way];
    need(row.gateway !== "", "bent");
    const elsewhere = row.gateway === undefined ? [] : [row.gateway];
    const encoded = cbor([...words, unbase64(proof.closed, 32), row.logged_s, ...elsewhere]);
    const leaf = await sha256(Uint8Array.of(0), await sha256(unbase64(proof.salt, 32), encoded));
    const note = readNote(proof.checkpoint);
    const path = proof.path.map((each) => unbase64(each, 32));
    need(same(await rootOf(leaf, row.seq - 1, note.size, path), note.root), "not_in_log");
    const prints = [];
    for (const given of proof.keys) {
      const key = { name: given.name, public: unbase64(given.public, 32) };
      need(key.name === note.origin, "unsigned");
      const signatures = await linesOf(note, key, 1);
      need(signatures.length > 0, "unsigned");
      for (const signature of signatures) need(await signedBy(key.public, signature, utf8.encode(note.text)), "unsigned");
      prints.push(await fingerprint(key.public));
      need(given.fingerprint === prints[prints.length - 1], "bent");
    }
    return { kind: "lookup", prints, witnessed: await witnessed(proof.witness, note), body: row };
  };
  const witnessed = async (witness, note) => {
    if (witness === null) return null;
    need(isObject(witness) && typeof witness.name === "string", "bent");
    const key = { name: witness.name, public: unbase64(witness.public, 32) };
    const lines = await linesOf(note, key, 4);
    need(lines.length > 0, "unwitnessed");
    let first = Infinity;
    for (const line of lines) {
      need(line.length === 72, "unwitnessed");
      const at = line.slice(0, 8).reduce((sum, byte) => sum * 256 + byte, 0);
      need(await signedBy(key.public, line.slice(8), utf8.encode(`cosignature/v1\ntime ${at}\n${note.text}`)), "unwitnessed");
      first = Math.min(first, at);
    }
    const print = await fingerprint(key.public);
    need(witness.fingerprint === print && witness.at_s === first, "bent");
    return { at: first, print };
  };

  const check = async (file) => {
    need(file.size <= FILE_BYTES_MAX, "too_large");
    let record;
    try {
      record = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
    } catch {
      throw new Fault("no_json");
    }
    need(isObject(record), "unknown");
    return record.schema === PROOF ? checkProof(record) : checkRecord(record);
  };

  // what is seen

  const page = document.getElementById("verify");
  const language = document.documentElement.lang;
  const told = new Map(Array.from(document.querySelectorAll("#verify-words [data-word]"), (each) => [each.dataset.word, each.textContent]));
  const word = (key, otherwise) => told.get(key) ?? otherwise ?? key;
  const codes = (part, list) => list.map((code) => word(`${part}.${code}`, code)).join(", ");
  const moment = (value) => new Date(value).toLocaleString(language, { dateStyle: "long", timeStyle: "medium" });
  const seconds = (value) => moment(value * 1000);
  const inLanguage = (texts) => (texts.find((each) => each["@language"] === language) ?? texts[0])["@value"];
  const ours = () => new Map(Array.from(document.querySelectorAll("#ship-keys [data-fingerprint]"), (each) => [each.dataset.fingerprint, each.dataset.version]));

  const factsOf = {
    receipt: ({ body }) => {
      const record = body["dpv:hasRecordOfActivity"];
      const status = record["dpv:hasConsentStatus"];
      const given = status["@type"].includes("dpv:ConsentGiven");
      return [
        ["who", record["dpv:hasDataSubject"]["@id"].split(":").pop()],
        ["said", word(given ? "said.yes" : "said.no")],
        ["what", word(`consent.${record["steward:purpose"]}`, record["steward:purpose"])],
        ["when", moment(status["dpv:isIndicatedAtTime"])],
        ["how", word(`how.${status["dpv:hasIndicationMethod"]}`, "")],
        ["uses", record["dpv:hasProcess"].map((each) => inLanguage(each["dct:title"])).join(", ")],
        ["recipients", record["dpv:hasProcess"].flatMap((each) => each["dpv:hasRecipient"]).map((each) => inLanguage(each["dct:title"])).join(", ") || word("none")],
        ["controller", record["dpv:hasDataController"]["dpv:hasName"]],
        ["number", body["dct:identifier"]],
      ];
    },
    lookup: ({ body, witnessed: by }) => [
      ["who", body.guest],
      ["role", word(`role.${body.role}`, body.role)],
      ["outlet", body.outlet],
      ...(body.gateway === undefined ? [] : [["machine", body.gateway]]),
      ["purpose", word(`purpose.${body.purpose}`, body.purpose)],
      ["when", seconds(body.at_s)],
      ["fields", codes("field", body.fields)],
      ["glass", word(body.way === "broke_glass" ? "said.yes" : "said.no")],
      ["number", String(body.seq)],
      ["witness", by === null ? word("witness.none") : `${seconds(by.at)}, ${by.print}`],
    ],
  };
  factsOf.erasure = ({ body }) => {
    const until = (kept) => (kept.until === null ? "" : ` (${moment(kept.until)})`);
    const gone = body.done.map((part) => `${word(`part.${part.part}`)}: ${moment(part.at)}`);
    return [
      ["who", body.guest],
      ["asked", moment(body.asked_at)],
      ["issued", moment(body.issued_at)],
      ["state", word(`state.${body.state}`)],
      ["gone", gone.join(", ")],
      ["waits", codes("wait", body.waits_for)],
      ["kept", body.kept.map((kept) => word(`kept.${kept.what}`, kept.what) + until(kept)).join("; ")],
      ["machines", body.gateways.map((each) => `${each.gateway}: ${word(`answer.${each.state}`, each.state)}`).join(", ")],
      ["ashore", word(`answer.${body.ashore.state}`, body.ashore.state)],
      ["number", body.certificate],
    ];
  };
  const plainFacts = ({ body }) => Object.entries(body).filter(([, value]) => typeof value !== "object").map(([name, value]) => [`body.${name}`, String(value), name]);

  const show = (state, code, facts, prints) => {
    page.dataset.state = state;
    for (const each of page.querySelectorAll("[data-when]")) each.hidden = each.dataset.when !== state;
    document.getElementById("verify-why").textContent = code ? word(`fault.${code}`) : "";
    const list = document.getElementById("verify-facts");
    list.replaceChildren();
    const mine = ours();
    const keys = prints.map((print) => ["key", mine.has(print) ? `${print} (${word("key.ours")} ${mine.get(print)})` : `${print} (${word("key.other")})`]);
    for (const [key, value, plain] of [...facts, ...keys].filter((fact) => fact[1] !== "")) {
      const name = document.createElement("dt");
      const text = document.createElement("dd");
      name.textContent = word(`fact.${key}`, plain ?? key);
      text.textContent = value;
      list.append(name, text);
    }
    document.getElementById("result").hidden = false;
    document.getElementById("result").focus();
  };
  const verify = async (file) => {
    document.getElementById("verify-name").textContent = file.name;
    try {
      const found = await check(file);
      const mine = ours();
      const known = found.prints.some((print) => mine.has(print));
      let facts;
      try {
        facts = (factsOf[found.kind] ?? plainFacts)(found);
      } catch {
        throw new Fault("bent"); // signed, and not in the shape that we write
      }
      show(known ? "good" : "stranger", known ? "" : "stranger", [["kind", word(`kind.${found.kind}`)], ...facts], found.prints);
    } catch (error) {
      if (error instanceof Fault) show("bad", error.message, [], []);
      else if (error instanceof DOMException) show("cannot", "no_ed25519", [], []);
      else show("bad", "bent", [], []);
    }
  };

  page.hidden = false;
  if (!globalThis.crypto?.subtle) {
    show("cannot", "no_crypto", [], []);
    return;
  }
  const input = document.getElementById("verify-file");
  input.addEventListener("change", () => {
    if (input.files.length) verify(input.files[0]);
    input.value = "";
  });
  const drop = document.getElementById("verify-drop");
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) verify(event.dataTransfer.files[0]);
  });
})();

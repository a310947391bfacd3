// Shows /openapi.json. Texts are set as texts, so nothing in them is taken for HTML.
const add = (parent, tag, text) => {
  const element = parent.appendChild(document.createElement(tag));
  if (text !== undefined) element.textContent = text;
  return element;
};
// A text, in which words between backticks are code.
const addText = (parent, text) => {
  const element = add(parent, "span");
  (text || "").split("`").forEach((part, place) => add(element, place % 2 === 1 ? "code" : "span", part));
};
const nameOf = (ref) => ref.split("/").pop();
// What a schema is, as texts and, for what has a name, links to it.
const typeOf = (schema) => {
  const join = (lists, between) => lists.flatMap((list, place) => (place === 0 ? list : [between, ...list]));
  if (!schema) return [];
  if (schema.$ref) return [{ type: nameOf(schema.$ref) }];
  if (schema.allOf) return join(schema.allOf.map(typeOf), " & ");
  const either = schema.oneOf || schema.anyOf;
  if (either && !schema.properties) return join(either.map(typeOf), " | ");
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" | ")];
  const types = [].concat(schema.type || "any");
  return join(types.map((type) => (type === "array" ? ["[", ...typeOf(schema.items), "]"] : [schema.format || type])), " | ");
};
const addType = (parent, schema) => {
  const element = add(parent, "span");
  for (const part of typeOf(schema)) {
    if (part.type) add(element, "a", part.type).href = `#type-${part.type}`;
    else add(element, "span", part);
  }
};
// The limits of a schema in words.
const limitsOf = (schema) => {
  const words = [];
  const say = (name, text) => schema?.[name] !== undefined && words.push(text(schema[name]));
  say("minimum", (least) => `from ${least}`);
  say("maximum", (most) => `to ${most}`);
  say("minLength", (least) => `${least} or more characters`);
  say("maxLength", (most) => `up to ${most} characters`);
  say("maxItems", (most) => `up to ${most} of them`);
  say("default", (value) => `default ${JSON.stringify(value)}`);
  return words.join(", ");
};
// A table; a cell is a text, or a schema whose type is shown.
const table = (parent, rows) => {
  if (rows.length === 0) return;
  const body = add(parent, "table");
  for (const row of rows) {
    const line = add(body, "tr");
    row.forEach((cell, place) => {
      const data = add(line, "td");
      if (cell && typeof cell === "object") addType(data, cell.schema);
      else if (place === 0) add(data, "code", cell);
      else addText(data, cell);
    });
  }
};
const words = (about, limits) => [about, limits && `(${limits})`].filter(Boolean).join(" ");
const fields = (schema) => {
  const required = schema.required || [];
  return Object.entries(schema.properties || {}).map(([field, about]) => [
    field, required.includes(field) ? "required" : "", { schema: about }, words(about.description, limitsOf(about)),
  ]);
};
const exampleOf = (api, { schema, example, examples }) => {
  const named = schema?.$ref ? api.components.schemas[nameOf(schema.$ref)] : schema;
  return example ?? Object.values(examples || {})[0]?.value ?? named?.example ?? named?.examples?.[0];
};
const body = (parent, api, { content, required }) => {
  add(parent, "h4", required ? "Body" : "Body, which may be left out");
  for (const [kind, media] of Object.entries(content || {})) {
    const line = add(parent, "p");
    add(line, "code", kind);
    add(line, "span", " ");
    addType(line, media.schema);
    const example = exampleOf(api, media);
    if (example !== undefined) add(parent, "pre", typeof example === "string" ? example : JSON.stringify(example, null, 2));
  }
};
const operation = (parent, api, method, path, about) => {
  const details = add(parent, "details");
  details.id = about.operationId;
  const head = add(details, "summary");
  add(head, "code", `${method.toUpperCase()} ${path}`);
  add(head, "span", ` ${about.summary || ""}`);
  if (about.description) addText(add(details, "p"), about.description);
  if (about.parameters) add(details, "h4", "Parameters");
  table(details, (about.parameters || []).map(({ name, in: place, required, schema, description }) => [
    name, required ? `${place}, required` : place, { schema }, words(description, limitsOf(schema)),
  ]));
  if (about.requestBody) body(details, api, about.requestBody);
  add(details, "h4", "Answers");
  table(details, Object.entries(about.responses || {}).map(([status, { description, content, headers }]) => [
    status, description, { schema: Object.values(content || {})[0]?.schema }, Object.keys(headers || {}).join(", "),
  ]));
};
// What the address names is opened and shown.
const open = () => {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named) {
    named.open = true;
    named.scrollIntoView();
  }
};
const show = (api) => {
  const main = document.getElementById("api");
  for (const tag of api.tags || []) {
    const all = Object.entries(api.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, about]) => [method, path, about]));
    const own = all.filter(([, , about]) => (about.tags || []).includes(tag.name));
    if (own.length === 0) continue;
    add(main, "h2", tag.name);
    add(main, "p", tag.description);
    own.forEach(([method, path, about]) => operation(main, api, method, path, about));
  }
  add(main, "h2", "Types");
  for (const [name, schema] of Object.entries(api.components?.schemas || {})) {
    const details = add(main, "details");
    details.id = `type-${name}`;
    add(add(details, "summary"), "code", name);
    if (schema.description) addText(add(details, "p"), schema.description);
    if (!schema.properties) addType(add(details, "p"), schema);
    (schema.allOf || [schema]).forEach((part) => table(details, fields(part)));
  }
  open();
  addEventListener("hashchange", open);
};
fetch("/openapi.json").then((answer) => answer.json()).then(show);

// Shows /openapi.json. Texts are set as texts, so nothing in them is taken for HTML.
const add = (parent, tag, text) => {
  const element = parent.appendChild(document.createElement(tag));
  if (text !== undefined) element.textContent = text;
  return element;
};
const nameOf = (ref) => ref.split("/").pop();
const typeOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return nameOf(schema.$ref);
  const either = schema.oneOf || schema.anyOf || schema.allOf;
  if (either) return either.map(typeOf).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = [].concat(schema.type || "any");
  return types.map((type) => (type === "array" ? `[${typeOf(schema.items)}]` : schema.format || type)).join(" | ");
};
const table = (parent, rows) => {
  const body = add(parent, "table");
  for (const row of rows) {
    const line = add(body, "tr");
    row.forEach((text, place) => add(add(line, "td"), place === 0 ? "code" : "span", text));
  }
};
const content = (parent, title, part) => {
  for (const [type, { schema, example, examples }] of Object.entries(part.content || {})) {
    add(parent, "p", `${title}: ${type}, ${typeOf(schema)}`);
    const shown = example ?? Object.values(examples || {})[0]?.value;
    if (shown !== undefined) add(parent, "pre", typeof shown === "string" ? shown : JSON.stringify(shown, null, 2));
  }
};
const operation = (parent, method, path, about) => {
  const details = add(parent, "details");
  const head = add(details, "summary");
  add(head, "code", `${method.toUpperCase()} ${path}`);
  add(head, "span", ` ${about.summary || ""}`);
  if (about.description) add(details, "p", about.description);
  table(details, (about.parameters || []).map((parameter) => [
    parameter.name,
    `${parameter.in}${parameter.required ? ", required" : ""}`,
    typeOf(parameter.schema),
    parameter.description || "",
  ]));
  if (about.requestBody) content(details, "Body", about.requestBody);
  for (const [status, response] of Object.entries(about.responses || {})) {
    add(details, "p", `${status}: ${response.description || ""}`);
    content(details, "Answer", response);
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
    own.forEach(([method, path, about]) => operation(main, method, path, about));
  }
  add(main, "h2", "Types");
  for (const [name, schema] of Object.entries(api.components?.schemas || {})) {
    const details = add(main, "details");
    add(add(details, "summary"), "code", name);
    if (schema.description) add(details, "p", schema.description);
    const required = schema.required || [];
    if (!schema.properties) add(details, "p", typeOf(schema));
    table(details, Object.entries(schema.properties || {}).map(([field, about]) => [
      field, required.includes(field) ? "required" : "", typeOf(about), about.description || "",
    ]));
  }
};
fetch("/openapi.json").then((answer) => answer.json()).then(show);

// The pages as people meet them: at a desk and on a phone, light and dark, by keyboard alone.
//
// node pages.mjs REPORT COMPARISON SITE [PICTURES]: the page of a run that has findings, that of two runs, the folder that
// `fieldsync spec build` wrote, and a folder for pictures of it all. FIELDSYNC_CHROMIUM names the browser.

import assert from "node:assert";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const [report, comparison, site] = process.argv.slice(2, 5).map((path) => resolve(path));
const pictures = process.argv[5];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const desk = { width: 1280, height: 900 };
const phone = { width: 390, height: 844, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const looks = { desk: { viewport: desk, scheme: "light" }, "desk dark": { viewport: desk, scheme: "dark" } };
Object.assign(looks, { phone: { viewport: phone, scheme: "light" }, "phone dark": { viewport: phone, scheme: "dark" } });

const browser = await puppeteer.launch({
  executablePath: process.env.FIELDSYNC_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
const problems = [];
let place;
const problem = (text) => problems.push(`${place}: ${text}`);

const page = await browser.newPage();
// A page that stands alone asks for itself; one of the specification for its neighbours, too.
const own = new Set();
page.on("request", (request) => {
  const url = request.url().split("#")[0];
  if (!own.has(url) && !url.startsWith(pathToFileURL(site).href + "/")) problem(`asks for ${url}`);
});
page.on("console", (said) => problem(`says ${said.text()}`));
page.on("pageerror", (error) => problem(`throws ${error.message}`));

/** Opens a page in one of the looks. */
async function open(file, { viewport, scheme }) {
  const url = pathToFileURL(file).href;
  own.add(url);
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(url);
}

/** Unfolds everything, and lays out what is far down, too: what is not there cannot be judged. */
const unfold = () => page.evaluate(async () => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("* { content-visibility: visible !important; }");
  document.adoptedStyleSheets = [sheet];
  for (const one of document.querySelectorAll("details")) one.open = true;
  for (let waiting = true; waiting; waiting = document.querySelector("details[open] [data-drawing]")) {
    await new Promise(requestAnimationFrame);
  }
});

/** What the rules of accessibility say of the page. */
async function accessible() {
  await page.evaluate(axe);
  const found = await page.evaluate((values) => globalThis.axe.run({ preload: false, runOnly: { type: "tag", values } }), levels);
  for (const { id, help, nodes } of found.violations) {
    const first = nodes[0];
    problem(`${id} (${help}), ${nodes.length} times, first at ${first.target}: ${first.html}\n${first.failureSummary}`);
  }
}

/** The page is as wide as the window, and what is wider than that scrolls in a box of its own. */
async function fits() {
  const { width } = page.viewport();
  const wide = await page.evaluate((width) => {
    if (document.documentElement.scrollWidth <= width) return;
    const boxed = (one) => one && (getComputedStyle(one).overflowX !== "visible" || boxed(one.parentElement));
    const wider = [...document.body.querySelectorAll("*")];
    const outside = wider.filter((one) => one.getBoundingClientRect().right > width + 1 && !boxed(one.parentElement));
    return `${document.documentElement.scrollWidth} wide: ${outside.slice(0, 3).map((one) => one.outerHTML.slice(0, 200)).join("\n")}`;
  }, width);
  if (wide) problem(wide);
}

async function looked(file, names, whole = true) {
  for (const name of names) {
    place = `${file.startsWith(site) ? file.slice(site.length + 1) : basename(file)}, ${name}`;
    await open(file, looks[name]);
    if (pictures) {
      mkdirSync(pictures, { recursive: true });
      const picture = join(pictures, place.replace(/[^a-z0-9.]+/gi, "-"));
      await page.screenshot({ path: `${picture}.png` });
      await page.screenshot({ path: `${picture}-long.png`, fullPage: true, captureBeyondViewport: true });
      if (name === "desk") await page.pdf({ path: `${picture}.pdf`, format: "A4" });
    }
    await fits();
    if (whole) {
      await unfold();
      await fits();
      await accessible();
    }
  }
}

const press = async (...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
/** Waits for what the page does a frame later. */
const until = (condition, ...rest) => page.waitForFunction(condition, { timeout: 10_000 }, ...rest);
const count = (selector) => page.$$eval(selector, (all) => all.length);

/** The page of a run, by keyboard alone. */
async function reportByKeyboard() {
  place = "the report by keyboard";
  await open(report, looks.desk);
  const findings = await count(".finding");
  const scenarios = await count("details.s");
  assert.ok(findings >= 3 && scenarios >= 20, "a report to try this on has findings, and scenarios that passed");

  // Tab comes to every finding, and what has the focus is seen to have it.
  const reached = new Set();
  for (;;) {
    await press("Tab");
    const at = await page.evaluate(() => {
      const here = document.activeElement;
      if (here === document.body) return;
      const { outlineStyle, outlineWidth } = getComputedStyle(here);
      const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
      const finding = [...document.querySelectorAll(".finding")].findIndex((one) => one.contains(here));
      return { finding, seen, past: here.matches("details.s *"), html: here.outerHTML.slice(0, 120) };
    });
    if (!at || at.past) break;
    assert.ok(at.seen, `nobody sees that this has the focus: ${at.html}`);
    reached.add(at.finding);
  }
  reached.delete(-1);
  assert.equal(reached.size, findings, "Tab reaches each finding");

  // So does j, one press each, and k goes back.
  await page.reload();
  const here = () => page.evaluate(() => {
    const rows = [...document.querySelectorAll(".finding, details.s")];
    return rows.findIndex((one) => one.contains(document.activeElement));
  });
  for (let index = 0; index <= findings; index += 1) {
    await press("j");
    assert.equal(await here(), index, "j goes from finding to finding, then to the scenarios");
  }
  await press("k", "k");
  assert.equal(await here(), findings - 2, "k goes back");
  const seen = await page.evaluate(() => {
    const { top, bottom } = document.activeElement.getBoundingClientRect();
    const bar = document.querySelector(".bar").getBoundingClientRect().bottom;
    return top >= bar - 1 && bottom <= innerHeight;
  });
  assert.ok(seen, "what has the focus is in sight, and not below the bar");

  // A finding leads to the scenario that shows it, unfolded, and to its rule.
  await page.reload();
  const [link, rule] = await page.$eval(".finding", (one) => {
    return [one.querySelector("a[href^='#s']").hash, one.querySelector("h3 a").hash];
  });
  for (const target of [rule, link]) {
    await page.focus(`.finding a[href="${target}"]`);
    await press("Enter");
    await until((id) => {
      const one = document.querySelector(id);
      const { top } = one.getBoundingClientRect();
      return (one.tagName !== "DETAILS" || one.open) && top >= 0 && top < innerHeight;
    }, target.replaceAll(".", "\\."));
  }

  // Words filter; Enter goes to what is left, and unfolds it.
  await page.reload();
  const word = (await page.$eval("details.pass .name", (one) => one.textContent)).split("/")[1];
  await press("/");
  await page.keyboard.type(word);
  await until(() => document.querySelectorAll("details.s:not([hidden])").length === 1);
  assert.match(await page.$eval("#found", (one) => one.textContent), new RegExp(`^1 of ${scenarios} scenarios$`));
  await press("Enter", "Enter");
  await until(() => document.activeElement.closest("details.s")?.matches("[open]:has(svg.d)"));
  assert.ok((await page.evaluate(() => location.hash)).includes(word), "the address keeps the filter");
  await press("Escape");
  await until((all) => document.querySelectorAll("details.s:not([hidden])").length === all, scenarios);

  // A verdict is a button.
  await page.focus("#q");
  await press("Tab");
  const verdict = await page.evaluate(() => document.activeElement.dataset.v);
  await press("Space");
  await until((verdict) => {
    const left = [...document.querySelectorAll("details.s:not([hidden])")];
    return left.length && left.every((one) => one.classList.contains(verdict));
  }, verdict);
  await press("Escape");

  // Paper shows what failed, unfolded, and nothing that is only for a screen.
  const unfolded = await count("details.fail[open]");
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.equal(await count("details.fail:not([open])"), 0, "what failed is unfolded on paper");
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  assert.equal(await count("details.fail[open]"), unfolded, "and folded again afterwards");
  await page.emulateMediaType("print");
  assert.equal(await page.$eval(".bar", (one) => getComputedStyle(one).display), "none");
}

/** From the first page of the specification to a rule, by keyboard alone. */
async function siteByKeyboard() {
  place = "the specification by keyboard";
  await open(join(site, "index.html"), looks.desk);
  await press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.hash), "#main", "the first stop leads to the text");
  await page.focus("#find");
  await page.keyboard.type("push.retry same-outcome");
  await Promise.all([page.waitForNavigation(), press("Enter")]);
  await until(() => document.querySelectorAll(".f:not([hidden])").length < 20);
  await page.focus("#q");
  await press("Enter");
  await until(() => document.activeElement.matches(".f a"));
  const name = await page.evaluate(() => document.activeElement.textContent);
  await Promise.all([page.waitForNavigation(), press("Enter")]);
  assert.ok(await page.evaluate((name) => document.querySelector(":target")?.textContent.includes(name), name), name);
}

try {
  const under = (folder) => readdirSync(join(site, folder), { recursive: true }).map((name) => join(folder, name));
  const html = (names) => names.filter((name) => name.endsWith(".html"));
  // One of each kind in every look; of the others the chapters and lists in the hardest one.
  const kinds = ["index.html", "push.html", "hazards.html", "tutorial-server.html", "messages.html", "runs.html"];
  kinds.push(join("messages", "push-request.html"), join("scenarios", "push", "lost-answer-to-a-create.html"));
  for (const file of [report, comparison, ...kinds.map((name) => join(site, name))]) await looked(file, Object.keys(looks));
  const others = html(readdirSync(site)).filter((name) => !kinds.includes(name));
  for (const name of others) await looked(join(site, name), ["phone dark"]);
  const rest = html([...under("messages"), ...under("scenarios")]).filter((name) => !kinds.includes(name));
  for (const name of rest) await looked(join(site, name), ["phone"], false);
  await reportByKeyboard();
  await siteByKeyboard();
  assert.ok(problems.length === 0, `${problems.length} problems\n\n${problems.join("\n\n")}`);
  console.log(`${2 + kinds.length + others.length + rest.length} pages: nothing in anyone's way`);
} finally {
  await browser.close();
}

/** The status page in a real browser, beside real DuckDB processes. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import {
  accessibilityFaults,
  browserMissing,
  type OpenPage,
  overflow,
  picture,
  TestBrowser,
  until,
} from '../harness/browser.js';
import { HttpMount } from '../harness/httpMount.js';
import { succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';

const SKIP = browserMissing();
const TOKEN = 'token-of-ops-0123456789';
const READING = 'token-of-reading-0123456789';
const LONG_NAME = `a_name_that_is_longer_than_a_phone_is_wide_${'x'.repeat(120)}`;

async function guarded(scene: Scene): Promise<HttpMount> {
  const tokens = join(await scene.tempDir(), 'tokens.toml');
  await writeFile(
    tokens,
    `[[token]]\nname = "ops"\ntoken = "${TOKEN}"\nwrite = ["*"]
[[token]]\nname = "reading"\ntoken = "${READING}"\nread = ["sales"]\n`,
  );
  return HttpMount.start(scene, ['--tokens', tokens]);
}

/** Databases with some history; nobody has them open. */
async function fill(scene: Scene, http: HttpMount, ...names: string[]): Promise<void> {
  const writer = scene.duckdb();
  for (const name of names) {
    await writer.open(http.mount.path(`${name}.duckdb`));
    await writer.sql('CREATE TABLE t AS SELECT range AS i FROM range(50000); CHECKPOINT');
    for (let i = 1; i < 3; i++) {
      await writer.sql(`INSERT INTO t SELECT range FROM range(${1000 * i})`);
      await http.snapshot(name);
    }
    await writer.close();
  }
  await writer.end();
}

async function enter(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token').fill(token);
  await page.keyboard.press('Enter');
  await page.getByRole('table', { name: 'Databases' }).waitFor();
}

const row = (page: Page, name: string) => page.locator(`tr[data-name="${name}"]`);
const card = (page: Page) => page.locator('#snapshot');
const dialog = (page: Page) => page.getByRole('dialog');

/** Nothing has gone wrong, and nothing was asked of others. */
function assertQuiet({ problems, origins }: OpenPage, http: HttpMount): void {
  assert.deepEqual(problems, []);
  assert.deepEqual([...origins], [new URL(http.endpoint).origin]);
}

const focused = (page: Page): Promise<string> =>
  page.evaluate('document.activeElement.id || document.activeElement.textContent');

acceptance('a token, live updates, the keyboard', { seconds: 180, skip: SKIP }, async (scene) => {
  const http = await guarded(scene);
  await fill(scene, http, 'sales', 'stock');
  const browser = await TestBrowser.start(scene);
  const open = await browser.open(`${http.endpoint}/`);
  const { page } = open;
  await page.getByRole('heading', { name: 'A token is needed' }).waitFor();
  await page.getByLabel('Token').fill('token-of-nobody');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('the token is not valid').waitFor();
  await enter(page, TOKEN);
  assert.equal(await page.evaluate('JSON.stringify(localStorage)'), '{}');
  assert.ok(!page.url().includes('token'));
  assert.equal(await row(page, 'sales').count(), 1);
  assert.equal(await row(page, 'stock').count(), 1);

  // A commit, as it happens.
  const writer = scene.duckdb();
  await writer.open(http.mount.path('sales.duckdb'));
  await row(page, 'sales').getByText(`pid ${writer.pid}`).waitFor();
  const head = row(page, 'sales').locator('td.id');
  const before = await head.textContent();
  await writer.sql('CREATE TABLE more AS SELECT range AS i FROM range(300000)');
  await until('the new head is shown', async () => (await head.textContent()) !== before);
  await writer.end();
  await row(page, 'sales').getByText(`pid ${writer.pid}`).waitFor({ state: 'detached' });

  // From one database to the next, into one, and along its timeline.
  await row(page, 'sales').getByRole('link').focus();
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(page), 'stock');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'sales', exact: true }).waitFor();
  assert.equal(await focused(page), 'detail-title');
  const timeline = page.getByRole('listbox');
  await timeline.locator('[role=option]').first().waitFor({ state: 'attached' });
  await timeline.focus();
  await page.keyboard.press('End');
  await card(page).waitFor();
  const newest = await card(page).getAttribute('data-id');
  assert.equal(newest, (await http.mount.database('sales')).head);
  await page.keyboard.press('ArrowLeft');
  await until('another one is chosen', async () => {
    return (await card(page).getAttribute('data-id')) !== newest;
  });
  const active = await timeline.getAttribute('aria-activedescendant');
  assert.equal(active, `mark-${await card(page).getAttribute('data-id')}`);
  await page.getByRole('list', { name: /Layers/ }).waitFor();
  const { depth } = await http.mount.database('sales');
  assert.equal(await page.locator('.layers li').count(), depth);
  assertQuiet(open, http);
});

acceptance('actions: each asks first', { seconds: 180, skip: SKIP }, async (scene) => {
  const http = await guarded(scene);
  await fill(scene, http, 'sales');
  const browser = await TestBrowser.start(scene);
  const open = await browser.open(`${http.endpoint}/#sales`);
  const { page } = open;
  await enter(page, TOKEN);
  const rows = page.locator('.snapshots tbody tr');
  await rows.first().waitFor();
  await rows.last().getByRole('button').click();
  const id = await card(page).getAttribute('data-id');

  const press = async (name: string | RegExp): Promise<void> => {
    await page.getByRole('button', { name, exact: true }).focus();
    await page.keyboard.press('Enter');
    await dialog(page).waitFor();
  };
  await press('Name…');
  await page.keyboard.type('before');
  await page.keyboard.press('Enter');
  await card(page).getByRole('heading', { name: 'before' }).waitFor();
  const shown = succeeded(await http.mount.cli(['snapshot', 'show', 'sales', 'before', '--json']));
  assert.equal(JSON.parse(shown).snapshot.id, id);
  await page.locator('.mark.named').waitFor();
  await card(page).getByText(http.mount.path('sales@before.duckdb')).waitFor();

  await press('Clone…');
  await page.keyboard.press('Escape');
  await dialog(page).waitFor({ state: 'detached' });
  await press('Clone…');
  await page.keyboard.type('sales');
  await page.keyboard.press('Enter');
  await dialog(page).getByRole('alert').getByText('sales').waitFor();
  assert.equal((await http.mount.status()).databases.length, 1, 'nothing was cloned so far');
  await dialog(page).getByLabel('Name of the new database').fill('copy');
  await dialog(page).getByRole('button', { name: 'Clone' }).click();
  await page.getByRole('heading', { name: 'copy', exact: true }).waitFor();
  await row(page, 'copy').waitFor();
  const reader = scene.duckdb();
  await reader.open(http.mount.path('copy.duckdb'), { readOnly: true });
  assert.ok(Number((await reader.sql('SELECT count(*) AS n FROM t'))[0]!['n']) >= 50_000);

  await row(page, 'sales').getByRole('link').click();
  await rows.last().getByRole('button').click();
  await press('Restore…');
  assert.equal(await focused(page), 'Cancel', 'the safe choice');
  await dialog(page).getByRole('button', { name: 'Restore sales' }).click();
  await page.getByRole('status').getByText('sales is restored').waitFor();
  succeeded(await http.mount.cli(['retention', 'sales', '--keep-within', '0', '--keep-last', '1']));
  await page.locator('#detail').getByRole('button', { name: 'Collect garbage…' }).click();
  await dialog(page).getByText('This is what would go now').waitFor();
  await dialog(page)
    .getByText(/sales loses \d+ snapshots/)
    .waitFor();
  await dialog(page).getByRole('button', { name: 'Collect', exact: true }).click();
  await page.getByRole('status').getByText('snapshots went').waitFor();
  assertQuiet(open, http);
});

acceptance('without the right to change', { seconds: 120, skip: SKIP }, async (scene) => {
  const browser = await TestBrowser.start(scene);
  const http = await guarded(scene);
  await fill(scene, http, 'sales', 'stock');
  const reading = await browser.open(`${http.endpoint}/#sales`);
  await enter(reading.page, READING);
  await reading.page.locator('.snapshots tbody tr button').first().click();
  assert.equal(await row(reading.page, 'stock').count(), 0);
  await reading.page.getByText('This token may only read this database').waitFor();
  const disabled = async (page: Page): Promise<void> => {
    for (const name of ['Name…', 'Restore…', 'Take snapshot…']) {
      assert.ok(await page.getByRole('button', { name }).isDisabled(), name);
    }
  };
  await disabled(reading.page);
  await reading.page.getByRole('button', { name: 'Clone…' }).click();
  await reading.page.keyboard.press('Enter');
  await dialog(reading.page).getByText('this token may not change sales_copy').waitFor();
  await reading.page.keyboard.press('Escape');
  await reading.page.getByRole('button', { name: /Forget token/ }).click();
  await reading.page.getByRole('heading', { name: 'A token is needed' }).waitFor();
  assert.equal(await reading.page.evaluate('JSON.stringify(sessionStorage)'), '{}');
  assertQuiet(reading, http);

  const plain = await HttpMount.start(scene);
  await fill(scene, plain, 'sales');
  const open = await browser.open(`${plain.endpoint}/#sales`);
  await open.page.getByText('Read-only: no token is configured').waitFor();
  await open.page.locator('.snapshots tbody tr button').first().click();
  await disabled(open.page);
  assert.ok(await open.page.getByRole('button', { name: 'Clone…' }).isDisabled());
  assert.ok(await open.page.getByRole('button', { name: 'Copy path' }).first().isEnabled());
  assertQuiet(open, plain);
});

acceptance('phone and desk, dark and light', { seconds: 180, skip: SKIP }, async (scene) => {
  const http = await HttpMount.start(scene);
  await fill(scene, http, 'sales', LONG_NAME);
  await http.snapshot(LONG_NAME, '--name', `name_${'y'.repeat(60)}`);
  succeeded(await http.mount.cli(['log-level', 'debug'])); // is a warning
  const browser = await TestBrowser.start(scene);
  const grounds = new Map<string, string>();
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [device, viewport] of [
      ['desk', { width: 1280, height: 900 }],
      ['tablet', { width: 800, height: 1000 }],
      ['phone', { width: 360, height: 740 }],
    ] as const) {
      const isPhone = device === 'phone';
      const options = { viewport, colorScheme, isMobile: isPhone, hasTouch: isPhone };
      const open = await browser.open(`${http.endpoint}/`, options);
      const { page } = open;
      const link = row(page, LONG_NAME).getByRole('link');
      await (isPhone ? link.tap() : link.click());
      await page.locator('.snapshots tbody tr button').first().click();
      await page.locator('.layers li').first().waitFor();
      await page.getByText(/another level/).waitFor();
      if (!isPhone) {
        await page.locator('.timeline svg').hover({ position: { x: 40, y: 50 } });
        await page.locator('.tip').waitFor();
      }
      assert.equal(await overflow(page), 0, `${device} scrolls sideways`);
      assert.deepEqual(await accessibilityFaults(page), [], `${device} ${colorScheme}`);
      grounds.set(colorScheme, await page.evaluate('getComputedStyle(document.body).background'));
      await picture(page, `${device}-${colorScheme}`);
      assertQuiet(open, http);
      await page.context().close();
    }
  }
  assert.notEqual(grounds.get('light'), grounds.get('dark'));
  // The switch goes before the system, and is remembered.
  const { page } = await browser.open(`${http.endpoint}/`, { colorScheme: 'light' });
  await page.getByLabel('Colours').selectOption('dark');
  const ground = () => page.evaluate('getComputedStyle(document.body).background');
  assert.equal(await ground(), grounds.get('dark'));
  await page.reload();
  assert.equal(await ground(), grounds.get('dark'));
  assert.equal(await page.getByLabel('Colours').inputValue(), 'dark');
});

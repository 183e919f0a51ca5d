/** A real browser for a test: Debian's Chromium, without a window. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Scene } from './scene.js';
import { isRoot, sleep } from './testRun.js';

const PROGRAM = '/usr/bin/chromium';
const STEP_LIMIT_MS = 20_000;

/** Nothing of it may go to other machines. */
const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Why tests that need a browser are not run, or false. */
export function browserMissing(): string | false {
  if (existsSync(PROGRAM)) return false;
  return `no ${PROGRAM}: apt-get install -y --no-install-recommends chromium`;
}

/** A page, and what went wrong in it. */
export interface OpenPage {
  readonly page: Page;
  /** Errors of scripts, of the policy, and of the console, except refused requests. */
  readonly problems: string[];
  /** Origins of all requests. */
  readonly origins: ReadonlySet<string>;
}

export class TestBrowser {
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** Ends with the scene, after its mounts. */
  static async start(scene: Scene): Promise<TestBrowser> {
    const browser = await chromium.launch({
      executablePath: PROGRAM,
      args: [...FLAGS, ...(isRoot ? ['--no-sandbox'] : [])],
    });
    scene.afterMounts(() => browser.close());
    return new TestBrowser(browser);
  }

  /** With storage of its own. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
    const context = await this.#browser.newContext(options);
    context.setDefaultTimeout(STEP_LIMIT_MS);
    const page = await context.newPage();
    const problems: string[] = [];
    const origins = new Set<string>();
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => {
      const isRefusal = /status of 4\d\d/.test(message.text());
      if (message.type() === 'error' && !isRefusal) problems.push(message.text());
    });
    page.on('request', (request) => origins.add(new URL(request.url()).origin));
    await page.goto(url);
    return { page, problems, origins };
  }
}

/** OPENDUCK_TEST_SCREENSHOTS: a directory that gets pictures, for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  const directory = process.env['OPENDUCK_TEST_SCREENSHOTS'];
  if (directory === undefined) return;
  await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
}

/** The policy of the page forbids what the browser's own waiting does with texts. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < STEP_LIMIT_MS; waited += 50) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`waited for this in vain: ${what}`);
}

/** How much wider the page is than the window, pixels. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - innerWidth');
}

/** Runs in the page: what has too little contrast to its ground (WCAG AA), and what has no name. */
const FAULTS = `(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => {
      const part = v / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const { rgb, a } = parse(getComputedStyle(e).backgroundColor);
      if (a === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const faults = [];
  for (const element of document.querySelectorAll('body *')) {
    const isShown = element.checkVisibility() && !element.closest('.visually-hidden, .skip, svg');
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== '');
    if (isShown && own && !element.disabled) {
      const [a, b] = [parse(getComputedStyle(element).color).rgb, groundOf(element)].map(luminance);
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (contrast < 4.5) faults.push(contrast.toFixed(1) + ': ' + element.textContent.trim());
    }
    const name = () =>
      element.textContent.trim() || element.getAttribute('aria-label') || element.labels?.length;
    if (element.matches('button, a, input, select, [tabindex="0"], [role="img"]') && !name()) {
      faults.push('no name: ' + element.outerHTML.slice(0, 80));
    }
  }
  return faults;
})()`;

export function accessibilityFaults(page: Page): Promise<string[]> {
  return page.evaluate(FAULTS);
}

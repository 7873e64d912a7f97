/** Stands in a saved output: unpacks the view's code and the run beside it, and runs the one on the other. */

export {};

async function unpack(text: string): Promise<string> {
  const chars = atob(text);
  const bytes = new Uint8Array(chars.length);
  // by index: an iterator over so many characters takes longer than all else here
  for (let n = chars.length; n--; ) bytes[n] = chars.charCodeAt(n);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

type Mount = (host: Element, data: unknown, more: () => Promise<string>, raw: (() => Promise<string>) | null) => void;

const host = document.currentScript?.parentElement;
// an array, because a constant would be found to be true when this is built
const [packed, more, data, raw] = ["__CODE__", "__MORE__", "__DATA__", "__RAW__"] as const;

const name = Symbol.for("letta_nb code");
const all = globalThis as { [name]?: Map<string, Promise<Mount>> };
const first = !all[name];
all[name] ??= new Map();
const known = all[name];

/** The code gives itself to who runs it; of the outputs in a page those that hold the same code share it. */
function code(): Promise<Mount> {
  const made =
    known.get(packed) ??
    unpack(packed).then(
      (textContent) =>
        new Promise<Mount>((lnbReady) => {
          const script = Object.assign(document.createElement("script"), { lnbReady, textContent });
          document.head.append(script);
          script.remove();
        }),
    );
  known.set(packed, made);
  return made;
}

if (host) {
  const unpacked = () => Promise.all([code(), unpack(data)]);
  // the first one in a page is most likely seen: on its way before that is known
  const early = first ? unpacked() : null;
  early?.catch(() => {});
  const draw = (): Promise<void> =>
    (early ?? unpacked())
      .then(([mount, run]) => mount(host, JSON.parse(run), () => unpack(more), raw ? () => unpack(raw) : null))
      .catch(() => {});
  // of twenty in a notebook, first what the reader sees; the others when there is time
  new IntersectionObserver(([seen], observer) => {
    // it stands beside a widget, and only comes in its place
    if (host.checkVisibility?.() === false) return;
    observer.disconnect();
    if (seen?.isIntersecting) draw();
    else (globalThis.requestIdleCallback ?? setTimeout)(draw);
  }).observe(host);
}

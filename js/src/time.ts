/** Figures as people read them; the twin of letta_nb/figures.py. */

/** `0.4 ms`, `317 ms`, `4.61 s`, `16.0 s`, `2:04`, `1:02:04` */
export function time(ms: number): string {
  if (ms < 0.95) return `${(Math.round(ms * 10) / 10).toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_995) return `${(Math.round(ms / 10) / 100).toFixed(2)} s`;
  if (ms < 59_950) return `${(Math.round(ms / 100) / 10).toFixed(1)} s`;
  return clockFace(Math.round(ms / 1000));
}

/** Of what is at most so long, which no rounding may make shorter: `7 ms` of 6.6 ms. */
export function bound(ms: number): string {
  const unit = ms <= 0.9 ? 0.1 : ms <= 999 ? 1 : ms <= 9_990 ? 10 : ms <= 59_900 ? 100 : 1000;
  return time(Math.ceil(ms / unit - 1e-6) * unit);
}

/** To 0.1 ms under 100 ms, for the hover card. */
export function fine(ms: number): string {
  return ms < 99.95 ? `${ms.toFixed(1)} ms` : time(ms);
}

/** A moment on the axis: `7.181 s`. */
export function moment(ms: number): string {
  return ms < 59_950 ? `${(ms / 1000).toFixed(3)} s` : clockFace(Math.round(ms / 1000));
}

/** A running clock: `9.5 s`, one decimal; whole seconds where motion is unwelcome. */
export function running(ms: number, calm = false): string {
  if (ms < 59_950) return calm ? `${Math.floor(ms / 1000)} s` : `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  return clockFace(Math.floor(ms / 1000));
}

/** How long a person was waited for: `0:42`; under a second as any other time. */
export function patience(ms: number): string {
  return ms < 999.5 ? time(Math.max(ms, 0)) : clockFace(Math.round(ms / 1000));
}

/** The same while it is going on. */
export const waiting = (ms: number): string => clockFace(Math.floor(Math.max(ms, 0) / 1000));

function clockFace(total: number): string {
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  const seconds = String(total % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function size(characters: number): string {
  if (characters < 1000) return plural(characters, "character");
  if (characters < 999_500) return `${Math.round(characters / 1000)} kB`;
  return `${(characters / 1e6).toFixed(1)} MB`;
}

const LIVE_SPANS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800].map((s) => s * 1000);

/** The length of a live axis: the next round figure over now, so that it rescales rarely. */
export function liveSpan(now: number): number {
  return LIVE_SPANS.find((span) => span > now) ?? Math.ceil(now / 1_800_000 + 0.01) * 1_800_000;
}

export interface Tick {
  at: number;
  label: string;
}

/** At most six round ticks from `from` to `to`, ms. */
export function ticks(to: number, from = 0): Tick[] {
  const length = to - from;
  if (!(length > 0)) return [];
  const gap = tickGap(length);
  const made: Tick[] = [];
  for (let n = Math.ceil(from / gap - 1e-6); n * gap <= from + length * 1.0001; n++) {
    made.push({ at: n * gap, label: tickLabel(n * gap, gap) });
  }
  return made;
}

function tickGap(length: number): number {
  if (length > 120_000) {
    for (let scale = 60_000; ; scale *= 10) {
      for (const n of [1, 2, 5]) if (Math.floor(length / (n * scale) + 1e-6) <= 5) return n * scale;
    }
  }
  for (let scale = 0.1; ; scale *= 10) {
    for (const n of [1, 2, 5]) if (Math.floor(length / (n * scale) + 1e-6) <= 5) return n * scale;
  }
}

function tickLabel(ms: number, gap: number): string {
  if (ms === 0) return "0";
  if (gap >= 60_000) return `${Math.round(ms / 60_000)} min`;
  if (gap >= 1000) return `${Math.round(ms / 1000)} s`;
  if (ms >= 1000) return `${Number((ms / 1000).toFixed(gap < 10 ? 3 : gap < 100 ? 2 : 1))} s`;
  return `${Number(ms.toFixed(1))} ms`;
}

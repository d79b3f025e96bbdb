// Lines over time, by uPlot. The colours are those of the theme. Who does not see it has `label`.
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { useTheme } from "../app/theme";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockToSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
// As the rest of the page says times; midnight is a date.
function timesOf(splits: readonly number[], step: number): string[] {
  return splits.map((seconds) => {
    const at = new Date(seconds * 1000);
    if (at.getHours() + at.getMinutes() + at.getSeconds() === 0) return day.format(at);
    return (step < 60 ? clockToSeconds : clock).format(at);
  });
}

const LEAST_SECONDS = 60;
// So few points make no line.
const LONELY = 3;

export interface Series {
  colour: string; // the name of a custom property
  fill?: string;
  dash?: boolean;
}
export interface ChartProps {
  x: readonly number[]; // seconds since 1970
  series: readonly Series[]; // the same object while they are the same
  values: readonly (readonly (number | null)[])[]; // of each series
  label: string;
  tick(value: number): string;
  steps?: readonly number[]; // between ticks; else such that decimals are short
  range?: readonly [number, number]; // else from zero to what there is
  point?(index: number | null): void; // the place under the pointer
}

export default function Chart({ x, series, values, label, tick, steps, range, point }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const told = useRef(point);
  told.current = point;
  const theme = useTheme();
  const lonely = values.every((line) => line.filter((value) => value !== null).length < LONELY);
  const [least, most] = range ?? [];
  const data = [x, ...values] as uPlot.AlignedData;
  const last = useRef(data);
  last.current = data;
  useEffect(() => {
    const element = place.current!;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `11px ${getComputedStyle(element).fontFamily}` };
    const size = () => ({ width: Math.max(120, element.clientWidth), height: Math.max(80, element.clientHeight) });
    const made = new uPlot(
      {
        ...size(),
        legend: { show: false },
        cursor: { y: false, points: { size: 7 } },
        // One point alone has a minute, too.
        scales: { x: { range: (_, min, max) => [Math.min(min, max - LEAST_SECONDS), max] }, y: { range: (_, __, max) => [least ?? 0, most ?? (max > 0 ? max * 1.1 : 1)] } },
        axes: [{ ...axis, size: 30, values: (_, splits, __, ___, step) => timesOf(splits, step) }, { ...axis, size: 62, values: (_, ticks) => ticks.map(tick), ...(steps === undefined ? {} : { incrs: [...steps] }) }],
        series: [
          {},
          ...series.map((each) => ({
            stroke: colour(each.colour),
            width: 1.8,
            ...(each.fill === undefined ? {} : { fill: colour(each.fill) }),
            ...(each.dash ? { dash: [5, 4] } : {}),
            points: { show: lonely, size: 6 },
            spanGaps: false,
          })),
        ],
        hooks: { setCursor: [(self) => told.current?.(self.cursor.idx ?? null)] },
      },
      last.current,
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize(size()));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.current = undefined;
      made.destroy();
    };
  }, [series, tick, steps, least, most, lonely, theme]);
  useEffect(() => plot.current?.setData([x, ...values] as uPlot.AlignedData), [x, values]);
  return <div className="chart" ref={place} role="img" aria-label={label} />;
}

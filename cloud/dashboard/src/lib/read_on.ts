// Pages of a list that are read on by themselves while something is looked for in it, up to a bound.
import { useEffect } from "react";

interface Pages {
  data: { pages: readonly unknown[] } | undefined;
  error: unknown;
  hasNextPage: boolean;
  isFetching: boolean;
  isPlaceholderData: boolean;
  fetchNextPage(): Promise<unknown>;
}

// Whether it is still being looked for.
export function useReadOn({ data, error, hasNextPage, isFetching, isPlaceholderData, fetchNextPage }: Pages, wanted: boolean, most: number): boolean {
  const on = wanted && error === null && data !== undefined && (isPlaceholderData || (hasNextPage && data.pages.length < most));
  useEffect(() => {
    if (on && !isFetching && !isPlaceholderData) void fetchNextPage();
  }, [on, isFetching, isPlaceholderData, fetchNextPage]);
  return on;
}

export function Logo() {
  return (
    <span className="logo">
      <svg viewBox="0 0 32 32" aria-hidden>
        <rect width="32" height="32" rx="9" className="logo-ground" />
        <path d="M10 11h12L16 22z" className="logo-line" />
        <circle cx="10" cy="11" r="3.2" />
        <circle cx="22" cy="11" r="3.2" />
        <circle cx="16" cy="22" r="3.2" />
      </svg>
      mcpfleet
    </span>
  );
}

namespace KestrelHandoff.Http;

/// <summary>Follows server-sent events as they pass, as far as to know where one ends: at an empty line (WHATWG HTML §9.2.5).</summary>
internal struct EventTracker
{
    private bool _isInLine;
    private bool _isInEvent;
    private bool _wasReturn;

    public readonly bool IsBetweenEvents => !_isInEvent && !_isInLine;

    public void Pass(ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            if (value is (byte)'\r' or (byte)'\n')
            {
                if (value == (byte)'\r' || !_wasReturn) // CR LF is one end of a line
                {
                    _isInEvent = _isInLine;
                    _isInLine = false;
                }
            }
            else
            {
                _isInLine = _isInEvent = true;
            }

            _wasReturn = value == (byte)'\r';
        }
    }
}

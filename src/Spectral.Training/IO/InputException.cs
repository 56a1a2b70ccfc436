namespace Spectral.Training.IO;

/// <summary>
/// What the user gave is wrong: a file, a config, a data record, an option. The message is complete as it stands: it
/// names the file, the place in it, what was found and what was expected, in one or two plain lines. Command line
/// programs print it and exit with code 2.
/// </summary>
public class InputException : Exception
{
    /// <summary>Wraps a message that already names file, place and expectation.</summary>
    public InputException(string message)
        : base(message) { }

    /// <summary>As above, keeping the fault it was found through.</summary>
    public InputException(string message, Exception inner)
        : base(message, inner) { }
}

namespace Spectral.Training.IO;

/// <summary>
/// Reports wrong input: a file, a config, a data record or an option. The message is complete: in one or two plain
/// lines it names the file, the place in it, what was found and what was expected. Command line programs print it and
/// exit with code 2.
/// </summary>
public class InputException : Exception
{
    /// <summary>Creates an exception with a message that already names file, place and expectation.</summary>
    public InputException(string message)
        : base(message) { }

    /// <summary>Creates an exception with such a message and the exception that revealed the fault.</summary>
    public InputException(string message, Exception inner)
        : base(message, inner) { }
}

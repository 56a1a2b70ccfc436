using System.Globalization;

namespace Spectral.Benchmarks.Tokenizers;

/// <summary>What the command line of the tokenizer benchmark asks for.</summary>
internal sealed record TokenizerRunOptions
{
    public const string Usage = """
        tokenizers FOLDER [--text FILE] [--record CHARACTERS] [--rounds N] [--filter TEXT] [--peer NODE_MODULES]
          FOLDER      folders with a tokenizer.json, at any depth
          --text      a UTF-8 text to encode; without it 5 MB are generated, the same ones in every run
          --record    length of the records that the text is cut into, at line breaks (2048)
          --rounds    runs of each tokenizer, each with a fresh one (5)
          --filter    only folders whose path contains this
          --peer      a node_modules folder with the package "tokenizers", to take turns with
        """;

    public required string Folder { get; init; }

    public string? Text { get; private set; }

    public int Record { get; private set; } = 2048;

    public int Rounds { get; private set; } = 5;

    public string Filter { get; private set; } = "";

    public string? Peer { get; private set; }

    /// <summary>Reads the arguments; null when they are not understood.</summary>
    public static TokenizerRunOptions? Parse(string[] arguments)
    {
        if (arguments.Length % 2 != 1 || !Directory.Exists(arguments[0]))
            return null;
        var options = new TokenizerRunOptions { Folder = arguments[0] };
        for (int i = 1; i < arguments.Length; i += 2)
        {
            if (!options.Set(arguments[i], arguments[i + 1]))
                return null;
        }
        return options;
    }

    private bool Set(string option, string value)
    {
        switch (option)
        {
            case "--text":
                Text = value;
                return File.Exists(value);
            case "--record":
                Record = Count(value);
                return Record > 0;
            case "--rounds":
                Rounds = Count(value);
                return Rounds > 0;
            case "--filter":
                Filter = value;
                return true;
            case "--peer":
                Peer = value;
                return Directory.Exists(value);
            default:
                return false;
        }
    }

    private static int Count(string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count : 0;
}

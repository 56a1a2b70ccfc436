using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>A token that is matched in the text as a whole, before merges.</summary>
internal sealed record AddedToken(
    int Id,
    string Content,
    bool SingleWord,
    bool StripLeft,
    bool StripRight,
    bool Normalized,
    bool Special
)
{
    /// <summary>
    /// The largest number of characters. At each place where a text begins like the token, this many are compared.
    /// </summary>
    public const int Longest = 1024;

    /// <summary>Reads a token in the format of Hugging Face's tokenizers, with a separately given id.</summary>
    public static AddedToken Read(JsonFields fields, int id)
    {
        bool special = fields.Boolean("special") ?? false;
        if (fields.RequiredText("content").Length > Longest)
            throw fields.Wrong("content", $"at most {Longest} characters");
        return new AddedToken(
            id,
            fields.RequiredText("content"),
            fields.Boolean("single_word") ?? false,
            fields.Boolean("lstrip") ?? false,
            fields.Boolean("rstrip") ?? false,
            fields.Boolean("normalized") ?? !special,
            special
        );
    }

    /// <summary>Checks that a token is not too long to search for.</summary>
    /// <exception cref="InputException">The token is too long.</exception>
    public static void RequireLength(string content, string file)
    {
        if (content.Length > Longest)
            throw new InputException($"{file}: a token of {content.Length} characters, expected at most {Longest}");
    }
}

using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// Selects the rows of embedding and head for which an adapter has its own values, by PEFT's rules for
/// <c>trainable_token_indices</c>.
/// </summary>
internal static class SavedRows
{
    /// <summary>Lists the rows that the options name.</summary>
    /// <param name="model">The model's config.</param>
    /// <param name="options">The adapter's options.</param>
    /// <exception cref="InputException">
    /// A name matches no table, a token is outside the vocabulary or given twice, or the table is also adapted or
    /// trained whole.
    /// </exception>
    public static IReadOnlyList<SavedTensor> Of(ModelConfig model, AdapterOptions options)
    {
        IReadOnlyList<SavedTensor> rows = Of([.. ModelTensors.Untied(model)], options.TrainableTokens);
        foreach (string module in rows.Select(tensor => tensor.Module))
        {
            foreach (string user in Users(model, module))
            {
                if (
                    SavedModules.Includes(options.ModulesToSave, user + ".weight")
                    || AdapterTargets.PatternOf(options.TargetModules).Matches(user)
                )
                {
                    throw new InputException(
                        $"single tokens of {module} cannot train while {user} is trained whole "
                            + "or adapted; expected one of the two"
                    );
                }
            }
        }

        return rows;
    }

    /// <summary>Lists the wanted rows of tables among some tensors.</summary>
    /// <exception cref="InputException">
    /// A name matches no table, or a token is outside the vocabulary or given twice.
    /// </exception>
    public static IReadOnlyList<SavedTensor> Of(
        IReadOnlyList<TensorSpec> model,
        IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> wanted
    )
    {
        List<SavedTensor> rows = [];
        foreach ((string name, IReadOnlyList<int> tokens) in wanted)
        {
            TensorSpec table = Table(model, name);
            Check(tokens, table);
            if (rows.Exists(other => other.Name == table.Name))
                throw new InputException($"trainable tokens of {table.Name} are given twice, expected once");
            rows.Add(SavedTensor.RowsOf(table, tokens));
        }
        return rows;
    }

    private static TensorSpec Table(IReadOnlyList<TensorSpec> model, string name)
    {
        TensorSpec[] tables = [.. model.Where(tensor => ModelFamilies.IsTable(tensor.Name))];
        IEnumerable<string> ends = tables.Select(table => ModelTensors.EndOf(ModelTensors.ModuleOf(table.Name)));
        return Array.Find(tables, table => name.Length > 0 && SavedModules.Includes([name], table.Name))
            ?? Array.Find(tables, table => name == PeftField.EmbeddingName && IsEmbedding(table))
            ?? throw new InputException(
                $"trainable tokens of {InputText.Quote(name)}: expected {string.Join(" or ", ends)}"
            );
    }

    private static bool IsEmbedding(TensorSpec table) => ModelFamilies.IsEmbedding(ModelTensors.ModuleOf(table.Name));

    private static void Check(IReadOnlyList<int> tokens, TensorSpec table)
    {
        if (tokens.Count == 0)
            throw new InputException($"trainable tokens of {table.Name}: expected one or more");
        if (
            tokens.FirstOrDefault(token => token < 0 || token >= table.Shape[0]) is var beyond
            && (beyond < 0 || beyond >= table.Shape[0])
        )
        {
            throw new InputException(
                $"token {beyond}, of which a row is to train, is none of the model: expected 0 to {table.Shape[0] - 1}"
            );
        }

        if (tokens.GroupBy(token => token).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new InputException($"token {twice.Key}, of which a row is to train, is given twice");
    }

    private static IEnumerable<string> Users(ModelConfig model, string module) =>
        model.TieWordEmbeddings && module == model.Family.Embedding ? [module, model.Family.Head] : [module];
}

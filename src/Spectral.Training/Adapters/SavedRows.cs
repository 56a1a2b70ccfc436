using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// Which rows of embedding and head an adapter has its own values of, with PEFT's rules for
/// <c>trainable_token_indices</c>.
/// </summary>
internal static class SavedRows
{
    /// <summary>The rows that some options name.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">The settings.</param>
    /// <exception cref="InputException">
    /// A name means no table, a token is beyond the vocabulary or there twice, or the table is trained otherwise too.
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

    /// <summary>The rows of tables among some tensors.</summary>
    /// <exception cref="InputException">
    /// A name means no table, or a token is beyond the vocabulary or there twice.
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
        IEnumerable<TensorSpec> tables = model.Where(tensor =>
            tensor.Name is ModelTensors.Embedding or ModelTensors.Head
        );
        return tables.FirstOrDefault(tensor => name.Length > 0 && SavedModules.Includes([name], tensor.Name))
            ?? throw new InputException(
                $"trainable tokens of {InputText.Quote(name)}: expected embed_tokens or " + "lm_head"
            );
    }

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
        model.TieWordEmbeddings && module == ModelTensors.EmbeddingModule
            ? [module, ModelTensors.HeadModule]
            : [module];
}
